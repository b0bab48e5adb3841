import gzip
import os

import pytest
from starlette.requests import Request

from users_api.engine.assets import Asset, read_folders

TEXT = b"Ada " * 100
ASSET = Asset(TEXT, "text/plain; charset=utf-8")


def respond(asset, method="GET", /, *headers):
    """Return the response to a request with these header lines."""
    raw = [tuple(part.encode("latin-1") for part in line.split(": ", 1)) for line in headers]
    return asset.respond(Request({"type": "http", "method": method, "headers": raw}))


@pytest.mark.parametrize(
    "lines",
    [
        ["gzip"],
        ["GZIP"],
        ["*"],
        ["gzip, deflate, br, zstd"],
        ["br;q=1.0, gzip;q=0.001, *;q=0"],
        ["identity;q=0.5, gzip;q=0.5"],
        ["*;q=0.5, gzip"],
        ["br", "gzip"],
    ],
)
def test_a_client_that_accepts_gzip_gets_it(lines):
    response = respond(ASSET, "GET", *(f"accept-encoding: {line}" for line in lines))

    assert gzip.decompress(response.body) == TEXT
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-length"] == str(len(response.body))
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["identity"],
        ["gzip;q=0"],
        ["gzip;q=0.000"],
        ["gzip;q=0, *"],
        ["*;q=0"],
        ["identity, gzip;q=0.5"],
        ["*, gzip;q=0.5"],
        ["gzip;q=2"],
        ["gzip;q=nonsense"],
        ["br, zstd"],
        ["\xff;;,,="],
    ],
)
def test_any_other_client_gets_the_bytes_of_the_file(lines):
    response = respond(ASSET, "GET", *(f"accept-encoding: {line}" for line in lines))

    assert response.body == TEXT
    assert "content-encoding" not in response.headers
    assert response.headers["content-length"] == str(len(TEXT))
    assert response.headers["vary"] == "Accept-Encoding"


def test_a_file_that_gzip_does_not_shorten_has_one_form():
    response = respond(Asset(b"Ada", "text/plain"), "GET", "accept-encoding: gzip")

    assert response.body == b"Ada"
    assert set(response.headers) == {"content-type", "content-length", "etag"}


def test_the_two_forms_have_different_entity_tags():
    plain, compressed = respond(ASSET), respond(ASSET, "GET", "accept-encoding: gzip")

    assert plain.headers["etag"] != compressed.headers["etag"]
    assert plain.headers["etag"] == respond(Asset(TEXT, "text/plain")).headers["etag"]
    assert plain.headers["etag"] != respond(Asset(TEXT + b".", "text/plain")).headers["etag"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accepted", ["gzip", "identity"])
@pytest.mark.parametrize("condition", ["{}", "W/{}", '"other", {}', "*"])
def test_a_client_that_has_the_form_is_told_so(condition, accepted, method):
    etag = respond(ASSET, "GET", f"accept-encoding: {accepted}").headers["etag"]

    response = respond(
        ASSET, method, f"accept-encoding: {accepted}", f"if-none-match: {condition.format(etag)}"
    )

    assert (response.status_code, response.body) == (304, b"")
    assert dict(response.headers) == {"etag": etag, "vary": "Accept-Encoding"}


def test_a_client_that_has_the_other_form_gets_the_file():
    etag = respond(ASSET).headers["etag"]

    response = respond(ASSET, "GET", "accept-encoding: gzip", f"if-none-match: {etag}")

    assert (response.status_code, gzip.decompress(response.body)) == (200, TEXT)


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_head_has_the_headers_of_get_without_the_body(accepted):
    get, head = (respond(ASSET, method, f"accept-encoding: {accepted}") for method in ("GET", "HEAD"))

    assert head.raw_headers == get.raw_headers
    assert head.body == b""


@pytest.fixture
def folders(tmp_path):
    """Return two folders."""
    made = [tmp_path / "first", tmp_path / "second"]
    for folder in made:
        (folder / "assets").mkdir(parents=True)
    return made


def test_files_are_read_from_the_first_folder_that_has_them(folders):
    (folders[0] / "a.css").write_text("first")
    (folders[1] / "a.css").write_text("second")
    (folders[1] / "assets" / "b.js").write_text("second")

    assets = read_folders(folders)

    assert {name: respond(asset).body for name, asset in assets.items()} == {
        "a.css": b"first",
        "assets/b.js": b"second",
    }
    assert respond(assets["a.css"]).headers["content-type"] == "text/css; charset=utf-8"


def test_links_to_files_outside_the_folder_are_left_out(folders):
    (folders[1] / "a.css").write_text("second")
    (folders[1] / "c.css").symlink_to("a.css")
    (folders[0] / "b.css").symlink_to(folders[1] / "a.css")

    assert read_folders(folders).keys() == {"a.css", "c.css"}


def test_source_maps_and_unused_files_are_left_out(folders):
    for name in ("a.js", "a.js.map", "assets/b.js"):
        (folders[0] / name).write_text("{}")

    assert read_folders(folders, without={"assets/b.js"}).keys() == {"a.js"}


def test_a_changed_file_is_read_again(folders):
    file = folders[0] / "a.css"
    file.write_text("old")
    read_folders(folders)

    file.write_text("new")
    os.utime(file, ns=(0, 0))

    assert respond(read_folders(folders)["a.css"]).body == b"new"
