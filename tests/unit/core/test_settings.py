"""The settings table: where a value comes from, and how a bad one is refused."""

from collections.abc import Mapping

import pytest

from penstock.core.settings import SettingError, Settings, is_loopback, issuer_sources, knobs, load, plain_host


def refusal(
    options: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None, toml: str | None = None
) -> str:
    with pytest.raises(SettingError) as caught:
        load(options or {}, environment or {}, toml)
    return str(caught.value)


def test_load_without_any_source_gives_the_defaults() -> None:
    settings = load({}, {}, None)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.tls_port, settings.engine) == ("127.0.0.1", 4566, 4567, "local")
    assert (settings.limits, settings.auth, settings.testing, settings.insecure) == ("off", "open", False, False)


@pytest.mark.parametrize(
    ("options", "environment", "toml", "port"),
    [
        ({"port": "1001"}, {"PENSTOCK_PORT": "1002"}, "port = 1003", 1001),
        ({}, {"PENSTOCK_PORT": "1002"}, "port = 1003", 1002),
        ({}, {}, "port = 1003", 1003),
        ({}, {}, "region = 'eu-west-1'", 4566),
        ({}, {"PORT": "1002", "penstock_port": "1004"}, None, 4566),
    ],
)
def test_load_when_several_places_have_a_value_takes_the_first(
    options: dict[str, str], environment: dict[str, str], toml: str | None, port: int
) -> None:
    assert load(options, environment, toml).port == port


def test_load_when_a_better_place_has_the_value_does_not_read_the_worse_one() -> None:
    assert load({"port": "1001"}, {"PENSTOCK_PORT": "junk"}, "port = 70000").port == 1001


@pytest.mark.parametrize("name", list(knobs()))
def test_knob_from_each_place_is_accepted(name: str) -> None:
    knob, default = knobs()[name]
    text = str(default).lower() if isinstance(default, bool) else str(default)
    expected = getattr(Settings(), name)
    assert getattr(load({name: text}, {}, None), name) == expected
    assert getattr(load({}, {"PENSTOCK_" + name.upper(): text}, None), name) == expected
    assert getattr(load({}, {}, f"{name.replace('_', '-')} = {text!r}"), name) == expected
    assert knob.doc.endswith(".")


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("host", "", "an address"),
        ("host", "a\0", "an address"),
        ("port", "", "a whole number from 0 to 65535"),
        ("port", "x", "a whole number from 0 to 65535"),
        ("port", "-1", "a whole number from 0 to 65535"),
        ("port", "65536", "a whole number from 0 to 65535"),
        ("port", "80.0", "a whole number from 0 to 65535"),
        ("tls_port", "1e3", "a whole number from 0 to 65535"),
        ("no_tls", "maybe", "true or false"),
        ("no_tls", "", "true or false"),
        ("data_dir", "", "a directory"),
        ("engine", "kafka", "one of memory, local"),
        ("journal_file", "1K", "a size from 1M to 1G, such as 64M or 2G"),
        ("cache", "-1", "a size from 0 to 1T, such as 64M or 2G"),
        ("commit_wait_ms", "1001", "a whole number from 0 to 1000"),
        ("max_disk", "9.5G", "a size from 0 to 1048576T, such as 64M or 2G"),
        ("limits", "AWS", "one of aws, off"),
        ("auth", "none", "one of open, enforced"),
        ("oidc_issuer", "https://a.example", "an issuer's https URL, =, and a file or URL of its keys"),
        ("oidc_issuer", "http://a.example=keys", "an issuer's https URL, =, and a file or URL of its keys"),
        (
            "oidc_issuer",
            "https://a.example=http://b.example/keys",
            "an issuer's https URL, =, and a file or URL of its keys",
        ),
        ("oidc_audience", "", "a text"),
        ("account_id", "12345678901", "12 digits"),
        ("account_id", "1234567890123", "12 digits"),
        ("account_id", "١٢٣٤٥٦٧٨٩٠١٢", "12 digits"),
        ("region", "US", "a region"),
        ("region", "", "a region"),
        ("transition_ms", "-1", "a whole number from 0 to 600000"),
        ("transition_ms", "600001", "a whole number from 0 to 600000"),
        ("testing", "2", "true or false"),
        ("insecure", "si", "true or false"),
        ("log_level", "trace", "one of debug, info, warning, error"),
    ],
)
def test_load_when_a_value_is_bad_names_place_value_and_what_is_accepted(name: str, text: str, accepted: str) -> None:
    variable = "PENSTOCK_" + name.upper()
    assert refusal({name: text}) == f"--{name.replace('_', '-')}: {text!r} must be {accepted}"
    assert refusal(environment={variable: text}) == f"{variable}: {text!r} must be {accepted}"
    if "\0" not in text:
        assert refusal(toml=f"{name} = '{text}'") == f"penstock.toml: {name}: {text!r} must be {accepted}"


@pytest.mark.parametrize("text", ["two\nlines", "x" * 100_000, "9" * 5000, "\r\n\x1b[31m"])
def test_load_when_a_bad_value_is_long_or_has_line_breaks_stays_one_short_line(text: str) -> None:
    message = refusal({"port": text})
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize("host", ["a\nb", "10.0.0.1\x1b[31m"])
def test_load_when_the_host_has_control_characters_is_still_one_line(host: str) -> None:
    assert refusal({"host": host}).isprintable()


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "on"])
def test_flag_when_said_yes_in_any_way_is_true(text: str) -> None:
    assert load({"no_tls": text}, {}, None).no_tls is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_flag_when_said_no_in_any_way_overrides_a_yes_further_down(text: str) -> None:
    assert load({"no_tls": text}, {"PENSTOCK_NO_TLS": "true"}, "no-tls = true").no_tls is False


@pytest.mark.parametrize(
    ("toml", "part"),
    [
        ("prt = 1", "unknown key 'prt'; known are host, port,"),
        ("[server]\nport = 1", "unknown key 'server'"),
        ("port = ", "Invalid value"),
        ("port = 1\nport = 2", "Cannot overwrite"),
        ("port = [1]", "port must be a whole number from 0 to 65535"),
        ("port = 4.5", "port must be a whole number from 0 to 65535"),
        ("port = true", "port: 'true' must be a whole number from 0 to 65535"),
        ("region = 2020-01-01", "region must be a region"),
    ],
)
def test_toml_when_it_cannot_be_used_is_refused_in_one_line(toml: str, part: str) -> None:
    message = refusal(toml=toml)
    assert message.startswith("penstock.toml: ")
    assert part in message
    assert message.isprintable()


def test_toml_when_a_value_is_no_text_names_the_value() -> None:
    assert "4.5" in refusal(toml="port = 4.5")


@pytest.mark.parametrize("toml", ["port = " + "9" * 5000, "port = " + "[" * 5000])
def test_toml_when_the_parser_itself_gives_up_is_still_a_setting_error(toml: str) -> None:
    assert refusal(toml=toml).startswith("penstock.toml: ")


def test_toml_when_flags_are_booleans_are_read() -> None:
    settings = load({}, {}, "no-tls = true\ntesting = false\nport = 1234")
    assert (settings.no_tls, settings.testing, settings.port) == (True, False, 1234)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com", "128.0.0.1", "127.0.0.1.example.com"])
def test_host_when_others_can_reach_it_needs_insecure(host: str) -> None:
    message = refusal({"host": host})
    assert host in message
    assert "--insecure" in message
    assert "127.0.0.1" in message
    assert load({"host": host, "insecure": "true"}, {}, None).host == host


def test_host_when_others_can_reach_it_and_identities_are_enforced_needs_insecure_only_without_tls() -> None:
    asked = {"host": "0.0.0.0", "auth": "enforced"}
    kept = load(asked, {}, None)
    assert (kept.host, plain_host(kept)) == ("0.0.0.0", "127.0.0.1"), "plain HTTP stays at home"
    assert "plain HTTP shows everything" in refusal({**asked, "no_tls": "true"})
    assert plain_host(load({**asked, "no_tls": "true", "insecure": "true"}, {}, None)) == "0.0.0.0"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_host_when_only_this_machine_reaches_it_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert load({"host": host}, {}, None).host == host


def test_host_when_it_came_from_the_environment_is_refused_by_that_name() -> None:
    assert "PENSTOCK_HOST" in refusal(environment={"PENSTOCK_HOST": "0.0.0.0"})


def test_ports_when_both_are_the_same_are_refused() -> None:
    assert refusal({"port": "5000", "tls_port": "5000"}).startswith("--port and --tls-port are both 5000")
    assert refusal({"port": "4567"}).startswith("--port and --tls-port are both 4567")


@pytest.mark.parametrize("options", [{"port": "0", "tls_port": "0"}, {"port": "9", "tls_port": "9", "no_tls": "true"}])
def test_ports_when_both_are_free_choice_or_tls_is_off_may_be_equal(options: dict[str, str]) -> None:
    assert load(options, {}, None).port == int(options["port"])


def test_issuer_sources_when_several_are_given_then_each_has_its_keys() -> None:
    text = "https://a.example/x=/etc/a.json, https://b.example=https://b.example/keys?v=1,https://c.example=http://127.0.0.1/k"
    assert issuer_sources(load({"oidc_issuer": text}, {}, None).oidc_issuer) == {
        "https://a.example/x": "/etc/a.json",
        "https://b.example": "https://b.example/keys?v=1",
        "https://c.example": "http://127.0.0.1/k",
    }
    assert issuer_sources("") == {}
