"""The checks of the CUDA kernels must themselves catch what they are for."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import check_ptx  # noqa: E402
import cuda_resources  # noqa: E402

NAME = "_ZN8lockstep8backends4cuda7kernels3AddEl"  # lockstep::backends::cuda::kernels::Add(long)


def said(stack=0, stores=0, loads=0, architecture="sm_80"):
    return (f"ptxas info    : Compiling entry function '{NAME}' for '{architecture}'\n"
            f"ptxas info    : Function properties for {NAME}\n"
            f"    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads\n"
            "ptxas info    : Used 20 registers, used 1 barriers, 64 bytes smem, 401 bytes cmem[0]\n")


class KernelResources(unittest.TestCase):
    def problems(self, text, architectures=("sm_80",)):
        return cuda_resources.problems(cuda_resources.parse(text, "a.cu"), ["a.cu"], architectures)

    def test_reads_what_ptxas_says(self):
        self.assertEqual(cuda_resources.parse(said(), "a.cu"),
                         [{"registers": 20, "spill_stores": 0, "spill_loads": 0, "local": 0, "shared": 64,
                           "architecture": "sm_80", "source": "a.cu", "kernel": "Add"}])
        self.assertEqual(self.problems(said()), [])

    def test_refuses_a_kernel_that_spills(self):
        self.assertEqual(len(self.problems(said(stores=8))), 1)
        self.assertEqual(len(self.problems(said(loads=8))), 1)

    def test_refuses_a_kernel_with_an_array_in_local_memory(self):
        self.assertEqual(len(self.problems(said(stack=16))), 1)

    def test_refuses_an_architecture_or_a_source_that_is_missing(self):
        self.assertEqual(len(self.problems(said(), ("sm_80", "sm_90"))), 1)
        self.assertEqual(len(self.problems("")), 1)
        self.assertEqual(len(cuda_resources.problems([], [], ("sm_80",))), 1)


class Ptx(unittest.TestCase):
    PTX = f".version 9.0\n.target sm_75\n.visible .entry {NAME}(\n"

    def test_takes_a_source_with_all_of_its_kernels(self):
        self.assertEqual(check_ptx.problems("a.cu", self.PTX, {"Add"}), [])

    def test_refuses_missing_ptx_a_missing_kernel_one_too_many_and_another_target(self):
        self.assertEqual(len(check_ptx.problems("a.cu", None, {"Add"})), 1)
        self.assertEqual(len(check_ptx.problems("a.cu", self.PTX, {"Add", "Scale"})), 1)
        self.assertEqual(len(check_ptx.problems("a.cu", self.PTX, set())), 1)
        self.assertEqual(len(check_ptx.problems("a.cu", self.PTX.replace("sm_75", "sm_90"), {"Add"})), 1)

    def test_reads_the_table_that_is_written(self):
        rows = cuda_resources.parse(said(), "a.cu")
        self.assertEqual(check_ptx.kernels_of(cuda_resources.table(rows, "13.0")), {"a.cu": {"Add"}})


class WithoutTools(unittest.TestCase):
    """Scripts that need what is not here say so in one line."""

    def run_script(self, script, *tools):
        root = pathlib.Path(__file__).resolve().parent.parent.parent
        with tempfile.TemporaryDirectory() as folder:
            for tool in ("bash", "dirname"):
                (pathlib.Path(folder) / tool).symlink_to(shutil.which(tool))
            for tool in tools:
                (pathlib.Path(folder) / tool).write_text("#!/bin/false\n")
                (pathlib.Path(folder) / tool).chmod(0o755)
            return subprocess.run([shutil.which("bash"), root / "ci" / script], env={"PATH": folder},
                                  capture_output=True, text=True)

    def test_cuda_is_skipped_without_nvcc(self):
        done = self.run_script("cuda")
        self.assertEqual((done.returncode, done.stdout),
                         (77, "ci/cuda: SKIPPED: no nvcc on PATH or under CUDA_HOME\n"))

    def test_gpu_ends_without_nvcc(self):
        done = self.run_script("gpu")
        self.assertEqual((done.returncode, done.stderr), (4, "ci/gpu: no nvcc on PATH or under CUDA_HOME\n"))

    def test_gpu_ends_without_a_gpu(self):
        done = self.run_script("gpu", "nvcc")
        self.assertEqual((done.returncode, done.stderr), (4, "ci/gpu: no GPU: nvidia-smi lists none\n"))


if __name__ == "__main__":
    unittest.main()
