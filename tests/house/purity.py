"""An import-linter contract that lists what may be imported, where the stock ones list what may not."""

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules
from importlinter.domain.imports import ModuleExpression


class PurityContract(Contract):
    """Pure modules import one another, harmless parts of the standard library and the packages named; nothing else."""

    type_name = "purity"

    source_modules = fields.SetField(subfield=fields.ModuleExpressionField())
    allowed_packages = fields.SetField(subfield=fields.StringField())
    forbidden_stdlib = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 - the linter's own signature
        """Find the direct imports of pure modules that leave the pure world."""
        del verbose
        expressions = cast("set[ModuleExpression]", self.source_modules)
        pure = {module.name for module in module_expressions_to_modules(graph, expressions, as_packages=True)}
        harmless = sys.stdlib_module_names - cast("set[str]", self.forbidden_stdlib)
        allowed = pure | harmless | cast("set[str]", self.allowed_packages)
        leaks = [
            (module, imported)
            for module in sorted(pure & graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(module) - allowed)
        ]
        return ContractCheck(kept=not leaks, metadata={"leaks": leaks})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line an import that has to go."""
        for module, imported in check.metadata["leaks"]:
            output.print_error(f"{module} is pure and may not import {imported}", bold=False)
