"""What doesn't need a component: `python3 -m unittest discover`."""

import pathlib
import sys
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import wicketgate_plugin as sdk  # noqa: E402
from wicketgate_plugin import Config, InvalidConfig  # noqa: E402


def read(config, *reads):
    config = Config.parse(config)
    for it in reads:
        it(config)
    config.finish()


class Configuration(unittest.TestCase):
    def test_faults_name_key_found_and_expected(self):
        for it, config, key, found in [
            (lambda it: it.text("a"), "{}", "a", "nothing"),
            (lambda it: it.text("a"), '{"a": 3}', "a", "3"),
            (lambda it: it.number("a", most=9), '{"a": 10}', "a", "10"),
            (lambda it: it.number("a"), '{"a": 1.5}', "a", "1.5"),
            (lambda it: it.number("a"), '{"a": true}', "a", "true"),
            (lambda it: it.flag("a"), '{"a": "true"}', "a", '"true"'),
            (lambda it: it.texts("a"), '{"a": ["x", 2]}', "a.1", "2"),
            (lambda it: it.word("a", ["x", "y"]), '{"a": "z"}', "a", '"z"'),
            (lambda it: it.word("a", ["x", "y"]), '{"a": ["x"]}', "a", "a list"),
            (lambda it: it.section("a").text("b"), '{"a": {"b": []}}', "a.b", "a list"),
            (lambda it: it.section("a").text("b"), '{"a": []}', "a", "a list"),
            (lambda it: [section.text("b") for section in it.sections("a")], '{"a": [{"b": "x"}, {}]}', "a.1.b", "nothing"),
            (lambda it: [section.text("b") for _, section in it.table("a")], '{"a": {"n": {"c": 1}}}', "a.n.b", "nothing"),
            (lambda it: it.text("a", ""), '{"b": 1}', "b", "an unknown key"),
            (lambda it: it.section("a").text("b", ""), '{"a": {"c": 1}}', "a.c", "an unknown key"),
            (lambda it: None, "[]", "", "a list"),
        ]:
            with self.subTest(config), self.assertRaises(InvalidConfig) as raised:
                read(config, it)
            self.assertEqual((raised.exception.key, raised.exception.found), (key, found))

    def test_an_absent_key_is_its_default(self):
        for config in ["", "null", "{}", '{"a": null}']:
            read(
                config,
                lambda it: self.assertIsNone(it.text("a", None)),
                lambda it: self.assertEqual(it.number("b", 4), 4),
                lambda it: self.assertEqual(it.sections("c"), []),
                lambda it: self.assertFalse(it.has("a")),
            )


class Log:
    """In place of the host's."""

    class Level:
        INFO = "info"

    def __init__(self):
        self.lines = []

    def write(self, level, line):
        self.lines.append((level, line))


class Printed(unittest.TestCase):
    def test_a_line_ends_with_its_call(self):
        host = Log()
        with unittest.mock.patch.multiple(sdk, _host_log=host, _closed=True, create=True):
            sdk._guarded(lambda: sdk._OUT.write("one\ntwo"))
            with self.assertRaises(sdk.Err), unittest.mock.patch.object(sdk, "_contract_error"):
                sdk._guarded(lambda: sdk._OUT.write("three") and 1 / 0)
            sdk._guarded(lambda: None)
        self.assertEqual(host.lines, [("info", "one"), ("info", "two"), ("info", "three")])

    def test_what_has_no_end_is_bounded(self):
        host = Log()
        with unittest.mock.patch.multiple(sdk, _host_log=host, _closed=True, create=True):
            for _ in range(1000):
                sdk._OUT.write("x" * 1000)
            self.assertLess(len(sdk._OUT._begun), 2000)
            sdk._OUT.end()
        self.assertLess(len(host.lines[0][1]), 2000)

    def test_without_a_log_nothing_is_kept(self):
        with unittest.mock.patch.multiple(sdk, _host_log=None, _closed=True, create=True):
            self.assertEqual(sdk._OUT.write("x"), 1)
        self.assertEqual(sdk._OUT._begun, "")


if __name__ == "__main__":
    unittest.main()
