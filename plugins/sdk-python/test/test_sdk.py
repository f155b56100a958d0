"""What doesn't need a component: `python3 -m unittest discover`."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

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


if __name__ == "__main__":
    unittest.main()
