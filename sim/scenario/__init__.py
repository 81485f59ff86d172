"""Scenarios: what a simulated run is made of, checked in full before anything runs."""

from sim.scenario.errors import ScenarioError
from sim.scenario.load import DEFAULT, available, load, unreached
from sim.scenario.model import Scenario

__all__ = ["DEFAULT", "Scenario", "ScenarioError", "available", "load", "unreached"]
