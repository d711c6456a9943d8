"""terraform as the tests run it: in a copy of deploy/, with the real provider from its source.

The provider's registry is no package registry of the tests: its plug-in is built by Go from the
module that go.mod pins, once, and given to terraform as a mirror in a folder.
"""
from __future__ import annotations

import os
import pathlib
import platform
import shutil
import subprocess
from collections.abc import Mapping

import pytest

from tests.interop import installs

HERE = pathlib.Path(__file__).parent
DEPLOY = HERE.parents[2] / "deploy"
PROVIDER = "github.com/hetznercloud/terraform-provider-hcloud"
TIMEOUT_S = 100


def mirror() -> pathlib.Path:
    """A provider mirror that holds the plug-in for Hetzner Cloud and nothing else."""
    installs.require("go")
    sources = [HERE / "provider" / file for file in ("go.mod", "go.sum")]
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]

    def install(folder: pathlib.Path) -> None:
        version = _pinned(sources[0])
        name = f"registry.terraform.io/hetznercloud/hcloud/{version}/linux_{arch}"
        plugin = folder / name / f"terraform-provider-hcloud_v{version}"
        command = ["go", "build", "-o", str(plugin), PROVIDER]
        installs._run(command, cwd=HERE / "provider")

    return installs._once("terraform_provider", sources, install)


def _pinned(go_mod: pathlib.Path) -> str:
    """The provider's version, without the v."""
    for line in go_mod.read_text().splitlines():
        if PROVIDER in line and " v" in line:
            return line.rpartition(" v")[2]
    raise AssertionError(f"{go_mod} does not require {PROVIDER}")


class Terraform:
    """A copy of deploy/ under `folder`, in which one root or module is initialised and run."""

    def __init__(
        self, folder: pathlib.Path, root: str, env: Mapping[str, str] | None = None
    ) -> None:
        """root: the root module's folder in deploy/terraform, such as modules/host."""
        installs.require("terraform")
        self.folder = folder / "deploy" / "terraform" / root
        shutil.copytree(DEPLOY, folder / "deploy")
        settings = folder / "terraform.rc"
        settings.write_text(
            f'disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n'
            f'    path = "{mirror()}"\n  }}\n}}\n'
        )
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
        self.env |= {"TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1", **(env or {})}

    def run(self, *arguments: str, status: int | None = 0) -> str:
        """What `terraform ARGUMENTS` printed; fails unless it exits with `status` (None: any)."""
        done = subprocess.run(
            ["terraform", *arguments], cwd=self.folder, env=self.env, timeout=TIMEOUT_S, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if status is not None and done.returncode != status:
            what = " ".join(arguments)
            pytest.fail(f"terraform {what}: exit {done.returncode}\n{done.stdout}", pytrace=False)
        return done.stdout

    def init(self) -> Terraform:
        """After `terraform init`."""
        self.run("init", "-no-color", "-input=false")
        return self


