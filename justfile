# The recipes that people, the pre-commit hook and CI share. `./petit just RECIPE` runs one.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# list the recipes
default:
    @just --list --unsorted

# everything CI runs
check: static houses test

# what needs no test run: style, types, imports, fresh schemas
static: lint types imports schemas-fresh

# ruff: every rule, and the formatter
lint:
    ruff check
    ruff format --check

# mypy: every member and its tests
types:
    mypy

# import-linter: the six contracts
imports:
    lint-imports --no-logo --cache-dir .import_linter_cache

# tests of the house: deliberate violations are refused, links lead somewhere, `petit` installs
houses *arguments:
    pytest tests/house {{ arguments }}

# every other test, with branch coverage; browser tests in CI only, as in `./petit test`
test *arguments:
    pytest --ignore=tests/house --cov {{ if env("CI", "") == "true" { "" } else { "-m 'not browser'" } }} {{ arguments }}

# the long proofs in full, with progress
prove *arguments:
    PETIT_PROVE=full pytest -m proof --timeout=0 --hypothesis-profile=prove --capture=no {{ arguments }}

# links and anchors in Markdown files
links:
    pytest tests/house/test_links.py

# write the schemas: each exporter (`schemas/export.py` of a member) writes into its own folder
schemas:
    for each in */schemas/export.py */*/schemas/export.py; do [ ! -e "$each" ] || python "$each" "$(dirname "$each")"; done

# fail if a schema in the tree is not what its exporter writes today
schemas-fresh:
    #!/bin/sh
    set -eu
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    for each in */schemas/export.py */*/schemas/export.py; do
        [ -e "$each" ] || continue
        mkdir -p "$fresh/$each"
        python "$each" "$fresh/$each"
        diff -ru -x '*.py' -x __pycache__ "$(dirname "$each")" "$fresh/$each" || { echo "stale: run \`just schemas\`" >&2; exit 1; }
    done

# format, and fix what ruff can fix
fmt:
    ruff check --fix-only --quiet
    ruff format
