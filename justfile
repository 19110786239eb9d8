# The recipes that people, the pre-commit hook and CI share. `./petit just RECIPE` runs one.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

python_only := if env("CI", "") == "true" { "" } else { "-m 'not browser and not real and not k8s and not cluster'" }

# list the recipes
default:
    @just --list --unsorted

# everything that CI runs without a Docker engine
check: static houses test

# what needs no test run: style, types, imports
static: lint types imports

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

# tests of the house: deliberate violations are refused, links lead somewhere, schemas are fresh, `petit` installs
houses *arguments:
    pytest tests/house {{ arguments }}

# every other test, with branch coverage unless arguments choose some; what needs more than Python in CI only, as in `./petit test`
test *arguments:
    pytest --ignore=tests/house {{ python_only }} {{ if arguments == "" { "--cov" } else { arguments } }}

# the long proofs in full, with progress; those about real servers and the real stack need `just images`
prove *arguments: (_prove "" arguments) (_prove "--stack real tests/e2e/test_containers.py" arguments)

# Arguments may choose proofs of one of the two only: pytest says 5 where nothing is left.
_prove what *arguments:
    PETIT_PROVE=full pytest -m proof --timeout=0 --hypothesis-profile=prove --capture=no {{ what }} {{ arguments }} || [ $? -eq 5 ]

# links and anchors in Markdown files
links:
    pytest tests/house/test_links.py

# write the exported schemas anew
schemas:
    python -m tests.house.schemas

# write the table of settings anew
configuration:
    python -m tests.house.configuration

# fail if an exported schema is stale
schemas-fresh:
    pytest tests/house/test_schemas.py

# format, and fix what ruff can fix
fmt:
    ruff check --fix-only --quiet
    ruff format

# the images of servers, from packages (needs root, docker.io and debootstrap), and ours on them
images:
    deploy/docker/local/engine start
    deploy/docker/local/build
    deploy/docker/build

# the tests that need a Docker engine, and the end-to-end tests on the real stack in containers
real *arguments:
    pytest -m real {{ arguments }}
    pytest --stack real tests/e2e {{ arguments }}

# the tests on a Kubernetes cluster: the one of KUBECONFIG, else one of one node, built from the Go module proxy at first use
cluster *arguments:
    tests/k8s/cluster build
    tests/k8s/cluster up
    KUBECONFIG="${KUBECONFIG:-${PETIT_K8S:-${TMPDIR:-/tmp}/petit-k8s}/run/pki/admin.conf}" pytest -m cluster tests/k8s {{ arguments }}
