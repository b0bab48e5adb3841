"""References: within the document, to other files and to addresses."""

import pytest

from tests.engine.test_document import HEAD, TEXT, make, message, respond, with_schemas
from users_api.engine.document import Document


def test_a_property_may_be_named_ref():
    properties = {"$ref": {"type": "string"}, "properties": {"type": "object"}, "x-a": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}

    document = Document.load(make({"responses": respond(schema)}))

    assert document.resolve(properties, "#/p") == (properties, "#/p")


def test_values_may_hold_what_resembles_a_reference():
    value = {"$ref": "#/nowhere"}
    schema = {"type": "object", "default": value, "enum": [value], "example": value, "x-a": value}

    assert Document.load(with_schemas(A=schema)).root["components"]["schemas"]["A"] == schema


def test_what_stands_beside_a_reference_is_reported_unless_it_is_an_annotation(caplog):
    user = {"$ref": "#/components/schemas/User", "nullable": True, "default": {}}
    quiet = {"$ref": "#/components/schemas/User", "description": "Annotated.", "x-note": 1}
    parameter = {"$ref": "#/components/parameters/Page", "required": True}
    document = make(
        {"parameters": [parameter], "responses": respond({"properties": {"a": user, "b": quiet}})},
        components={
            "schemas": {"User": {"type": "object"}},
            "parameters": {"Page": {"name": "page", "in": "query", **TEXT}},
        },
    )

    Document.load(document)

    schema = "#/paths/~1a/get/responses/200/content/application~1json/schema/properties/a"
    combine = "; to apply both, move the reference into allOf"
    assert sorted(record.getMessage() for record in caplog.records) == [
        "#/paths/~1a/get/parameters/0: OpenAPI 3.0 ignores what stands beside $ref: required",
        f"{schema}: OpenAPI 3.0 ignores what stands beside $ref: nullable, default{combine}",
    ]


def test_resolve_follows_chains_of_references():
    document = Document.load(
        make(
            {"responses": {"200": {"$ref": "#/components/responses/A"}}},
            components={
                "responses": {
                    "A": {"$ref": "#/components/responses/B"},
                    "B": {"$ref": "#/x-shared/0/a~1%7Bb%7D"},
                }
            },
            **{"x-shared": [{"a/{b}": {"description": "shared"}}]},
        )
    )

    (node,) = document.operations()
    assert document.resolve(node.operation["responses"]["200"], "#/p") == (
        {"description": "shared"},
        "#/x-shared/0/a~1{b}",
    )


def test_recursive_schemas_are_allowed():
    schema = {"properties": {"next": {"$ref": "#/components/schemas/Node"}}}

    assert Document.load(with_schemas(Node=schema)).root["components"]["schemas"] == {"Node": schema}


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            make({"responses": {"200": {"$ref": "#/components/responses/X"}}}),
            "#/paths/~1a/get/responses/200: #/components/responses/X points nowhere",
        ),
        (
            with_schemas(A={"$ref": "#/info/title/x"}),
            "#/components/schemas/A: #/info/title/x points nowhere",
        ),
        (
            with_schemas(A={"items": {"$ref": "#/tags/7"}}) | {"tags": []},
            "#/components/schemas/A/items: #/tags/7 points nowhere",
        ),
        (
            with_schemas(A={})
            | {"paths": make({"responses": {"200": {"$ref": "#/components/schemas/A"}}})["paths"]},
            "#/paths/~1a/get/responses/200: #/components/schemas/A is a Schema, where a Response belongs",
        ),
        (with_schemas(A={"$ref": "#/info/title"}), '#/info/title: the value is not of type "object"'),
        (
            with_schemas(A={"$ref": "#/x-a"}) | {"x-a": {"type": 5}},
            '#/x-a/type: the value is not of type "string"',
        ),
        (
            with_schemas(A={"$ref": "#/components/schemas/A"}),
            "#/components/schemas/A: #/components/schemas/A leads back to itself",
        ),
        (
            with_schemas(A={"$ref": "#/components/schemas/B"}, B={"$ref": "#/components/schemas/A"}),
            "#/components/schemas/B: #/components/schemas/A leads back to itself",
        ),
        (
            with_schemas(A={"$ref": "b.yaml#/B"}),
            (
                "#/components/schemas/A: "
                "b.yaml#/B is relative, but the document is not from a file; load it by its path"
            ),
        ),
        (
            with_schemas(A={"discriminator": {"propertyName": "a", "mapping": {"a/b": "Absent"}}}),
            (
                "#/components/schemas/A/discriminator/mapping/a~1b: "
                "Absent is neither a schema in components.schemas nor a reference"
            ),
        ),
        (
            with_schemas(
                A={"discriminator": {"propertyName": "a", "mapping": {"b": "#/components/schemas/B"}}}
            ),
            "#/components/schemas/A/discriminator/mapping/b: #/components/schemas/B points nowhere",
        ),
        (
            make(item={"$ref": "#/x-item"}, **{"x-item": {}}),
            (
                "#/paths/~1a: a path item with $ref must have no other fields; "
                "move it to where the reference leads"
            ),
        ),
    ],
)
def test_a_wrong_reference_is_refused(document, error):
    assert message(document) == error


def test_other_files_are_bundled(folder):
    root = folder(
        api=HEAD
        + """
paths:
  /users: {$ref: "./parts/paths.yaml#/users"}
components:
  schemas:
    User: {$ref: "parts/schemas.yaml#/User"}
    Whole: {$ref: "whole.yaml"}
    Pet:
      oneOf: [{$ref: "#/components/schemas/User"}]
      discriminator:
        propertyName: kind
        mapping: {user: User, whole: whole.yaml, local: "#/components/schemas/Pet"}
""",
        parts__paths="""
users:
  get:
    responses:
      default: {$ref: "../responses.yaml#/Failure"}
      "200":
        description: OK
        content:
          application/json: {schema: {$ref: "schemas.yaml#/User/properties/friends"}}
""",
        parts__schemas="""
User:
  properties:
    friends: {type: array, items: {$ref: "#/User"}}
    pet: {$ref: "../api.yaml#/components/schemas/Pet"}
    name: {$ref: "schemas.yaml#/Name"}
Name: {type: string}
""",
        responses="Failure: {description: failed}",
        whole="{type: string}",
    )

    document = Document.load(root / "api.yaml")

    bundled = document.root["x-bundled"]
    assert list(bundled) == ["parts_paths.yaml", "parts_schemas.yaml", "whole.yaml", "responses.yaml"]
    assert document.root["paths"] == {"/users": {"$ref": "#/x-bundled/parts_paths.yaml/users"}}
    assert document.root["components"]["schemas"]["Pet"]["discriminator"]["mapping"] == {
        "user": "User",
        "whole": "#/x-bundled/whole.yaml",
        "local": "#/components/schemas/Pet",
    }
    assert bundled["parts_schemas.yaml"]["User"]["properties"] == {
        "friends": {"type": "array", "items": {"$ref": "#/x-bundled/parts_schemas.yaml/User"}},
        "pet": {"$ref": "#/components/schemas/Pet"},
        "name": {"$ref": "#/x-bundled/parts_schemas.yaml/Name"},
    }
    assert document.source is None
    (node,) = document.operations()
    assert node.pointer == "#/x-bundled/parts_paths.yaml/users/get"
    responses = node.operation["responses"]
    assert document.resolve(responses["default"], "#")[0] == {"description": "failed"}
    assert Document.load(document.root).root == document.root


def test_files_of_the_same_name_do_not_clash(folder):
    root = folder(
        api=HEAD
        + "paths: {}\ncomponents:\n  schemas:\n"
        + '    {A: {$ref: "a/b.yaml"}, B: {$ref: "a_b.yaml"}, C: {$ref: "a%20b.yaml"}}',
        a__b="{type: string}",
        a_b="{type: integer}",
        **{"a b": "{type: number}"},
    )

    document = Document.load(root / "api.yaml")

    assert [reference["$ref"] for reference in document.root["components"]["schemas"].values()] == [
        "#/x-bundled/a_b.yaml",
        "#/x-bundled/a_b.yaml-2",
        "#/x-bundled/a_b.yaml-3",
    ]


def test_the_name_of_a_file_outside_of_the_folder_does_not_depend_on_the_machine(folder):
    root = folder(
        api__main=HEAD + 'paths: {}\ncomponents: {schemas: {A: {$ref: "../a.yaml"}}}', a="{type: string}"
    )

    assert list(Document.load(root / "api" / "main.yaml").root["x-bundled"]) == ["a.yaml"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[1", "{file}:2: did not find expected"),
        ("{A: {type: 5}}", '#/x-bundled/part.yaml/A/type: the value is not of type "string"'),
        ("{B: {}}", "#/components/schemas/A: part.yaml#/A points nowhere"),
    ],
)
def test_a_wrong_file_is_refused(text, error, folder):
    root = folder(
        api=HEAD + 'paths: {}\ncomponents: {schemas: {A: {$ref: "part.yaml#/A"}}}', part=f"{text}\n"
    )

    assert message(root / "api.yaml").startswith(error.format(file=root / "part.yaml"))


def test_a_missing_file_error_names_reference_and_file(folder):
    root = folder(api=HEAD + 'paths: {}\ncomponents: {schemas: {A: {$ref: "part.yaml#/A"}}}')

    assert message(root / "api.yaml").startswith(
        "#/components/schemas/A: part.yaml#/A cannot be read: [Errno 2] No such file"
    )


def test_addresses_are_bundled(site, folder):
    folder(
        remote=HEAD + 'paths: {}\ncomponents: {schemas: {A: {$ref: "sub/a.yaml#/A"}}}',
        local=HEAD + f'paths: {{}}\ncomponents: {{schemas: {{A: {{$ref: "{site}/sub/a.yaml#/A"}}}}}}',
        sub__a='A: {items: {$ref: "b.yaml"}}',
        sub__b="{type: string}",
    )

    remote = Document.load(f"{site}/remote.yaml")
    local = Document.load(folder() / "local.yaml")
    from_dict = Document.load(with_schemas(A={"$ref": f"{site}/sub/b.yaml"}))

    name = site.removeprefix("http://").replace(":", "_")
    assert list(remote.root["x-bundled"]) == [f"{name}_sub_a.yaml", f"{name}_sub_b.yaml"]
    assert remote.root["x-bundled"] == local.root["x-bundled"]
    assert from_dict.root["x-bundled"] == {f"{name}_sub_b.yaml": {"type": "string"}}


def test_an_address_may_refer_to_a_file_only_by_an_address(site, folder):
    folder(api=HEAD + 'paths: {}\ncomponents: {schemas: {A: {$ref: "absent.yaml"}}}')

    assert message(f"{site}/api.yaml").startswith("#/components/schemas/A: absent.yaml cannot be read: 404")
