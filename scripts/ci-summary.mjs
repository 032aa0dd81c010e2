// The last word of .ci/run: `N passed, N failed` by vitest's JSON report. The exit code is that of the tests, and
// never 0 without a report, with a failure, or with nothing passed.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const [report, status] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let code = Number(status);
if (existsSync(report)) {
  const { testResults, numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, "utf8"));
  passed = numPassedTests;
  // A file that could not even be loaded has no failed tests, but failed.
  const broken = testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((t) => t.status === "failed"),
  );
  failed = numFailedTests + broken.length;
} else process.stderr.write("ci: the tests were not reached\n");
if (code === 0 && (failed > 0 || passed === 0)) code = 1;
// What was written before by others should stand above.
await pause(50);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = code;
