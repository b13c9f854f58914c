"""What of the drill can be checked without root: the boxes of the README, and how the stand-ins read the units."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DEPLOY / "drill"))
import three_hosts  # noqa: E402  (found by the line above)
import units  # noqa: E402


class Boxes(unittest.TestCase):
    def test_e12_every_marked_box_is_a_script_that_the_drill_types(self):
        text = Path(three_hosts.__file__).read_text()
        for name, (where, script) in three_hosts.boxes().items():
            self.assertTrue(where, name)
            self.assertIn(f'"{name}"', text, "the drill does not type this box")
            checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""), name)

    def test_e12_no_box_is_left_that_is_not_marked_where_machines_are_set_up(self):
        text = three_hosts.README.read_text()
        section = text[text.index("## Three machines"):text.index("## One registry, one broker")]
        self.assertEqual(section.count("```sh"), section.count("<!-- play:"), "a box without a mark is never tried")

    def test_a_line_of_a_unit_that_is_not_known_is_refused(self):
        for unit in (DEPLOY / "systemd").glob("*.service"):
            units.Unit([unit], unit.name.replace("@.", "@echo."))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        odd = Path(folder.name) / "odd.service"
        odd.write_text("[Service]\nExecStopPost=/bin/true\n")
        with self.assertRaises(units.Problem):
            units.Unit([odd], "odd.service")


if __name__ == "__main__":
    unittest.main()
