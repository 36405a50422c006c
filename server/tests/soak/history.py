"""Prints the history of a made-up organisation, day by day, as JSON lines.

figurant (PyPI) makes it up: who works where at the start, then who joins, leaves, moves, marries
and gets another manager on which day. The first line has units and people; each later line is a
day. Usage: history.py PEOPLE DAYS SEED
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

DECLARATION = """
version = "s1"
[set]
name = "rollcall-{seed}"
size = {people}
type = "services/installer"
reference = 2026-11-23
history = 3
mobility = 400
rehire = 100
profiles = ["high_churn"]
[personal]
marriage = 200
used_name_change = 200
"""


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


class Organisation:
    """The rows of the export that say who works where, changed day by day."""

    KEYS = {
        "person": lambda row: row["person_id"],
        "affiliation": lambda row: f"{row['person_id']}|{row['affiliation_ordinal']}",
        "reporting_line": lambda row: f"{row['person_id']}|{row['authoritative']}",
    }

    def __init__(self, start):
        self.tables = {
            entity: {key(row): row for row in rows(start / f"{entity}.csv")}
            for entity, key in self.KEYS.items()
        }

    def change(self, changes):
        for row in rows(changes):
            table = self.tables.get(row["entity"])
            if table is None:
                continue
            if row["change"] == "removed":
                table.pop(row["key"], None)
            else:
                table.setdefault(row["key"], {})[row["field"]] = row["now"]

    def people(self):
        """Everybody who works here, with the first of several places."""
        places = {}
        for key in sorted(self.tables["affiliation"]):
            row = self.tables["affiliation"][key]
            places.setdefault(row["person_id"], row)
        found = {}
        for key, person in self.tables["person"].items():
            place = places.get(key)
            if place is None:
                continue
            line = self.tables["reporting_line"].get(f"{key}|true", {})
            manager = line.get("manager_person_id", "-1")
            found[key] = {
                "id": key,
                "given": person["used_name"] or person["given_names"],
                "family": person["surname_in_use"] or person["family_name"],
                "unit": place["unit_id"],
                "title": place["job_title"],
                "department": place["job_family"],
                "manager": None if manager in ("", "-1") else manager,
            }
        return found


def paths(start):
    units = {row["unit_id"]: row for row in rows(start / "unit.csv")}

    def path(unit):
        row = units[unit]
        name = f"{row['function'].replace('/', ' ')} {unit}"
        parent = row["parent_id"]
        return (path(parent) if parent in units else "") + "/" + name

    return {unit: path(unit) for unit in units}


def main():
    people, days, seed = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        declaration = Path(folder, "organisation.toml")
        declaration.write_text(DECLARATION.format(seed=seed, people=people), encoding="utf-8")
        figurant = Path(sys.executable).with_name("figurant")
        out = Path(folder, "out")
        command = [figurant, "--scenario", declaration, "--replay", days, "--every", "1"]
        subprocess.run(
            [*command, "--format", "rows", "--out", out], check=True, stdout=subprocess.DEVNULL
        )
        steps = sorted(out.glob("step-*"), key=lambda step: int(step.name.split("-")[1]))
        organisation = Organisation(steps[0] / "rows")
        known = organisation.people()
        print(json.dumps({"units": paths(steps[0] / "rows"), "people": list(known.values())}))
        for step in steps[1:]:
            organisation.change(step / "rows" / "changes.csv")
            now = organisation.people()
            day = {
                "joined": [now[key] for key in now if key not in known],
                "left": [key for key in known if key not in now],
                "changed": [now[key] for key in now if key in known and now[key] != known[key]],
            }
            known = now
            print(json.dumps(day))


main()
