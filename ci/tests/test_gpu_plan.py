"""What ci/gpu would run must say every suite, and of what it leaves out what and why."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import gpu_plan  # noqa: E402


def test(name, *labels):
    return {"name": name, "properties": [{"name": "LABELS", "value": list(labels)}]}


TESTS = [test("kernels_cuda.Add", "kernels", "cuda"), test("conformance.Profile/cuda_core", "conformance", "cuda"),
         test("collectives.cuda.of_1_ranks", "collectives", "cuda", "gpus_1"),
         test("collectives.cuda.of_4_ranks", "collectives", "cuda", "gpus_4"), test("virtual_gpu.plain", "virtual_gpu"),
         test("collectives.kokkos.of_4_ranks", "collectives", "gpus_4"), test("unit.A")]
CASES = {"dp.even/single": 1, "dp.even/dp=2": 2}


class Plan(unittest.TestCase):
    def plan(self, gpus):
        return "\n".join(gpu_plan.plan(TESTS, CASES, {"core": ["dp.even"]}, {"dp.sum": "dp.even/dp=2"}, gpus))

    def test_says_what_one_gpu_can_not_run_and_why(self):
        said = self.plan(1)
        for line in ("kernels: 1 of 1 tests", "collectives: 1 of 2 tests",
                     "left out: collectives.cuda.of_4_ranks: needs 4 GPUs", "profile core: 1 of 2 cases",
                     "left out: dp.even/dp=2: needs 2 GPUs", "faults: 0 of 1",
                     "left out: fault dp.sum: its case dp.even/dp=2 needs 2 GPUs", "virtual_gpu: left out, 1 tests"):
            self.assertIn(line, said)
        self.assertNotIn("kokkos", said)
        self.assertEqual(gpu_plan.labels_left_out(TESTS, 1), "^gpus_(4)$")

    def test_leaves_out_nothing_but_virtual_gpus_where_there_are_enough(self):
        self.assertEqual([line for line in self.plan(4).splitlines() if "left out" in line],
                         [self.plan(4).splitlines()[-1]])
        self.assertEqual(gpu_plan.labels_left_out(TESTS, 4), "^gpus_(0)$")

    def test_a_suite_without_a_test_or_that_is_not_built_is_a_problem(self):
        self.assertEqual(gpu_plan.problems(TESTS), [])
        self.assertIn("suite kernels", gpu_plan.problems(TESTS[1:])[0])
        self.assertIn("build the target", gpu_plan.problems([*TESTS, test("conformance_stalls_NOT_BUILT")])[0])

    def test_a_test_of_the_cuda_trainer_without_the_label_is_a_problem(self):
        for name in ("conformance.Conformance/Stalls/cuda", "kernels_cuda.Scale", "collectives.cuda.of_2_ranks"):
            self.assertIn("without the label", gpu_plan.problems([*TESTS, test(name, "conformance")])[0])


if __name__ == "__main__":
    unittest.main()
