"""Samples of a run, with plausible values where a test gives none."""

from cisterna_sim import record

FACTS = {
    "quantum_pl": 89_820,
    "concentration_ug_per_ml": 2000,
    "low_nl": 4_000_000,
    "empty_nl": 1_000_000,
    "occlusion_pa": 69_000,
    "low_date": "2026-06-20",
    "refill_date": "2026-06-23",
}


def row(true_s: float, **values) -> tuple:
    """A sample with plausible values where none are given."""
    usual = {
        "true_s": true_s,
        "pump_s": true_s,
        "mode": "BASAL",
        "programmed_nl": int(true_s * 1.7),
        "counted_nl": int(true_s * 1.7),
        "true_tip_nl": true_s * 1.7,
        "leaked_nl": 0.0,
        "rate_nl_per_day": 150_000,
        "remaining_nl": 4_100_000 - int(true_s * 1.7),
        "true_remaining_nl": 4_100_000 - true_s * 1.7,
        "pressure_pa": 2200,
        "true_pressure_pa": 2210.0,
        "csf_pa": 1200.0,
        "supply_mv": 5000,
        "alarms": 0,
        "priority": 0,
        "effect_percent": 100.0,
        "true_tip_ng": true_s * 3.4,
        "drawn_back_nl": 0,
        "open_nl": 0,
    }
    return tuple({**usual, **values}[name] for name, _ in record.COLUMNS)
