/** What a container says at its end. Follows kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go: getTerminationMessage. */
import type { Container, EphemeralContainer } from "../../api/types.generated.ts";
import type { ContainerStatus as Run, RuntimeService } from "../../cri/types.ts";

/** Bytes of one message (MaxContainerTerminationMessageLength), of one out of the log, and of all of a pod. */
const MESSAGE_MAX = 4096;
const LOG_MAX = 2048;
const LOG_LINES_MAX = 80;
const POD_MAX = 12 * 1024;
const DEFAULT_PATH = "/dev/termination-log";

/** The end of the termination log; of the output, where that is empty and the pod wants it so. `containers`: how many share the pod's limit. */
export function terminationMessage(
  runtime: Pick<RuntimeService, "containerFile" | "containerLogs">, run: Run, { terminationMessagePath, terminationMessagePolicy }: Container | EphemeralContainer, containers: number,
): string {
  const limit = Math.min(MESSAGE_MAX, Math.floor(POD_MAX / Math.max(1, containers)));
  const file = runtime.containerFile(run.id, terminationMessagePath === undefined || terminationMessagePath === "" ? DEFAULT_PATH : terminationMessagePath);
  if (file !== undefined && file.length > 0) return decode(file, limit);
  if (terminationMessagePolicy !== "FallbackToLogsOnError" || run.exitCode === 0) return "";
  const lines = runtime.containerLogs(run.id).slice(-LOG_LINES_MAX).map(({ text }) => `${text}\n`).join("");
  return decode(new TextEncoder().encode(lines), Math.min(LOG_MAX, limit));
}

const decode = (bytes: Uint8Array, max: number): string => new TextDecoder().decode(bytes.subarray(Math.max(0, bytes.length - max)));
