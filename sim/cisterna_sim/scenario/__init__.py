"""Scenarios: what a simulated run is made of, checked in full before anything runs."""

from cisterna_sim.scenario.errors import ScenarioError
from cisterna_sim.scenario.load import DEFAULT, available, load, unreached
from cisterna_sim.scenario.model import Scenario

__all__ = ["DEFAULT", "Scenario", "ScenarioError", "available", "load", "unreached"]
