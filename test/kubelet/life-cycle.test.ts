import { expect, test } from "vitest";
import { conditions, isReady, state, testCluster, type TestCluster } from "./cluster.ts";

async function started(): Promise<TestCluster> {
  const cluster = await testCluster();
  cluster.addNode(1);
  await cluster.clock.advance(300);
  return cluster;
}

const image = "example.com/doer:1";

test("the status of a pod from its arrival to Ready", async () => {
  const cluster = await started();
  await cluster.createPod("web", { containers: [{ name: "b", image, args: ["serve:80"] }, { name: "a", image, args: ["term:0:0"], volumeMounts: [{ name: "v", mountPath: "/v", readOnly: true }] }], volumes: [{ name: "v", emptyDir: {} }] });
  await cluster.clock.advance(1);
  const early = await cluster.pod("web");
  expect(early.status.phase).toBe("Pending");
  expect(conditions(early)).toEqual([
    "PodReadyToStartContainers=False", "Initialized=True", "Ready=False ContainersNotReady: containers with unready status: [b a]",
    "ContainersReady=False ContainersNotReady: containers with unready status: [b a]", "PodScheduled=True",
  ]);
  expect(early.status.containerStatuses?.[0]).toEqual({
    name: "a", state: { waiting: { reason: "ContainerCreating" } }, lastState: {}, ready: false, restartCount: 0, image, imageID: "", started: false,
    volumeMounts: [{ name: "v", mountPath: "/v", readOnly: true, recursiveReadOnly: "Disabled" }],
  });
  const pod = await cluster.until("web", 1000, isReady);
  expect(pod.status).toMatchObject({ phase: "Running", hostIP: "192.168.0.11", hostIPs: [{ ip: "192.168.0.11" }], podIP: "10.244.1.2", podIPs: [{ ip: "10.244.1.2" }], qosClass: "BestEffort" });
  expect(conditions(pod)).toEqual(["PodReadyToStartContainers=True", "Initialized=True", "Ready=True", "ContainersReady=True", "PodScheduled=True"]);
  expect(pod.status.containerStatuses?.map(({ name, imageID, containerID, started: begun }) => [name, /^example.com\/doer@sha256:[0-9a-f]{64}$/.test(imageID), /^containerd:\/\/[0-9a-f]{64}$/.test(containerID!), begun])).toEqual([
    ["a", true, true, true], ["b", true, true, true],
  ]);
  expect((await cluster.events("web")).map((line) => line.replace(/in \d+ms \(\d+ms/, "in Xms (Xms"))).toEqual([
    `Normal Pulling x1 spec.containers{b}: Pulling image "${image}"`,
    `Normal Pulled x1 spec.containers{b}: Successfully pulled image "${image}" in Xms (Xms including waiting). Image size: 320368 bytes.`,
    "Normal Created x1 spec.containers{b}: Created container: b", "Normal Started x1 spec.containers{b}: Started container b",
    `Normal Pulled x1 spec.containers{a}: Container image "${image}" already present on machine`,
    "Normal Created x1 spec.containers{a}: Created container: a", "Normal Started x1 spec.containers{a}: Started container a",
  ]);
  await cluster.client.pods.delete("default", "web", { gracePeriodSeconds: 1 });
  await cluster.gone("web", 5000);
  expect(cluster.problems).toEqual([]);
  await cluster.stop();
});

test("a container that fails is restarted with growing pauses, and says so", async () => {
  const cluster = await started();
  const pod = await cluster.createPod("crash", { containers: [{ name: "c", image, args: ["sleep:1000", "exit:3"] }] });
  const full = `crash_default(${pod.metadata.uid})`;
  await cluster.until("crash", 3000, (p) => state(p, "c") === "running" && p.status.containerStatuses?.[0]?.restartCount === 1);
  const looping = await cluster.until("crash", 3000, (p) => state(p, "c") === "waiting CrashLoopBackOff");
  const status = looping.status.containerStatuses![0]!;
  expect(looping.status.phase).toBe("Running");
  expect(status.restartCount).toBe(1);
  expect(status.state.waiting?.message).toBe(`back-off 10s restarting failed container=c pod=${full}`);
  expect(status.lastState.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
  await cluster.until("crash", 11_000, (p) => p.status.containerStatuses![0]!.restartCount === 2);
  const longer = await cluster.until("crash", 3000, (p) => state(p, "c") === "waiting CrashLoopBackOff");
  expect(longer.status.containerStatuses![0]!.state.waiting?.message).toBe(`back-off 20s restarting failed container=c pod=${full}`);
  expect(await cluster.events("crash")).toContainEqual(expect.stringMatching(new RegExp(`^Warning BackOff x\\d spec.containers{c}: Back-off restarting failed container c in pod ${full.replace(/[()]/g, "\\$&")}$`)) as string);
  await cluster.stop();
});

test.each([
  ["Never", ["exit:0"], "Succeeded", "terminated Completed 0"],
  ["Never", ["exit:4"], "Failed", "terminated Error 4"],
  ["OnFailure", ["exit:0"], "Succeeded", "terminated Completed 0"],
])("restartPolicy %s after %j: %s", async (restartPolicy, args, phase, end) => {
  const cluster = await started();
  await cluster.createPod("p", { restartPolicy, containers: [{ name: "c", image, args }] });
  const pod = await cluster.until("p", 2000, (p) => p.status.phase === phase);
  expect(state(pod, "c")).toBe(end);
  await cluster.clock.advance(100);
  const reason = phase === "Succeeded" ? "PodCompleted" : "PodFailed";
  expect(conditions(await cluster.pod("p"))).toEqual([
    "PodReadyToStartContainers=False", phase === "Succeeded" ? "Initialized=True PodCompleted" : "Initialized=True", `Ready=False ${reason}`, `ContainersReady=False ${reason}`, "PodScheduled=True",
  ]);
  await cluster.client.pods.delete("default", "p");
  await cluster.gone("p", 500);
  await cluster.stop();
});

test("init containers one after the other, then the others; a failing one is tried again", async () => {
  const cluster = await started();
  await cluster.createPod("init", { initContainers: [{ name: "one", image, args: ["sleep:500"] }, { name: "two", image, args: ["sleep:500", "exit:1"] }], containers: [{ name: "c", image, args: ["term:0:0"] }] });
  const first = await cluster.until("init", 1000, (p) => state(p, "one") === "running");
  expect([state(first, "two"), state(first, "c")]).toEqual(["waiting PodInitializing", "waiting PodInitializing"]);
  expect(conditions(first)[1]).toBe("Initialized=False ContainersNotInitialized: containers with incomplete status: [one two]");
  await cluster.until("init", 1000, (p) => state(p, "two") === "running");
  const second = await cluster.until("init", 4000, (p) => state(p, "two") === "waiting CrashLoopBackOff");
  expect(second.status.phase).toBe("Pending");
  expect(state(second, "one")).toBe("terminated Completed 0");
  expect(conditions(second)[1]).toBe("Initialized=False ContainersNotInitialized: containers with incomplete status: [two]");
  await cluster.stop();
});

test("a sidecar starts before the others, outlives them, and is ended last", async () => {
  const cluster = await started();
  await cluster.createPod("side", {
    restartPolicy: "Never",
    initContainers: [{ name: "car", image, restartPolicy: "Always", args: ["serve:80"], startupProbe: { httpGet: { path: "/", port: 80 }, initialDelaySeconds: 1, periodSeconds: 1 } }],
    containers: [{ name: "c", image, args: ["sleep:2000"] }],
  });
  const waiting = await cluster.until("side", 1000, (p) => state(p, "car") === "running");
  expect([state(waiting, "c"), waiting.status.phase]).toEqual(["waiting PodInitializing", "Pending"]);
  await cluster.until("side", 3000, (p) => state(p, "c") === "running");
  const done = await cluster.until("side", 5000, (p) => p.status.phase === "Succeeded");
  expect([state(done, "car"), state(done, "c")]).toEqual(["terminated Completed 0", "terminated Completed 0"]);
  expect(await cluster.events("side")).toContain("Normal Killing x1 spec.initContainers{car}: Stopping container car");
  await cluster.stop();
});

test("deletion: preStop, SIGTERM, SIGKILL after the grace period; a shorter one is heard", async () => {
  const cluster = await started();
  await cluster.createPod("slow", { terminationGracePeriodSeconds: 60, containers: [{ name: "c", image, args: ["term:100000:0"], lifecycle: { preStop: { sleep: { seconds: 5 } } } }] });
  await cluster.until("slow", 1000, isReady);
  await cluster.client.pods.delete("default", "slow");
  await cluster.clock.advance(20_000);
  expect(state(await cluster.pod("slow"), "c")).toBe("running");
  await cluster.client.pods.delete("default", "slow", { gracePeriodSeconds: 3 });
  await cluster.gone("slow", 7_000);
  await cluster.createPod("quick", { terminationGracePeriodSeconds: 60, containers: [{ name: "c", image, args: ["term:1000:0"], lifecycle: { preStop: { exec: { command: ["nothing"] } } } }] });
  await cluster.until("quick", 1000, isReady);
  await cluster.client.pods.delete("default", "quick");
  await cluster.gone("quick", 2000);
  expect(await cluster.events("quick")).toEqual(expect.arrayContaining(["Normal Killing x1 spec.containers{c}: Stopping container c", "Warning FailedPreStopHook x1 spec.containers{c}: PreStopHook failed"]));
  await cluster.stop();
});

test("postStart holds the pod back, and its failure ends the container", async () => {
  const cluster = await started();
  await cluster.createPod("ok", { containers: [{ name: "c", image, args: ["serve:80"], lifecycle: { postStart: { exec: { command: ["do", "sleep:3000"] } } } }] });
  await cluster.clock.advance(2000);
  expect(isReady(await cluster.pod("ok"))).toBe(false);
  await cluster.until("ok", 2000, isReady);
  const pod = await cluster.createPod("bad", { containers: [{ name: "c", image, args: ["serve:80"], lifecycle: { postStart: { exec: { command: ["do", "print:no", "exit:7"] } } } }] });
  const failed = await cluster.until("bad", 2000, (p) => state(p, "c") === "waiting PostStartHookError");
  expect(failed.status.containerStatuses![0]!.state.waiting?.message).toBe(
    `Exec lifecycle hook ([do print:no exit:7]) for Container "c" in Pod "bad_default(${pod.metadata.uid})" failed - error: command 'do print:no exit:7' exited with 7: , message: "no\\n"`);
  expect(await cluster.events("bad")).toEqual(expect.arrayContaining(["Warning FailedPostStartHook x1 spec.containers{c}: PostStartHook failed", "Normal Killing x1 spec.containers{c}: FailedPostStartHook"]));
  await cluster.stop();
});

test("what cannot be started says why", async () => {
  const cluster = await started();
  const cases: [string, object, string, string][] = [
    ["upper", { image: "Example/UPPER" }, "waiting InvalidImageName", 'Failed to apply default image tag "Example/UPPER": couldn\'t parse image reference "Example/UPPER": invalid reference format: repository name (UPPER) must be lowercase'],
    ["never", { image: "nginx", imagePullPolicy: "Never" }, "waiting ErrImageNeverPull", 'Container image "nginx" is not present with pull policy of Never'],
    ["config", { image, env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "cm", key: "k" } } }] }, "waiting CreateContainerConfigError", 'configmap "cm" not found'],
    ["secret", { image, envFrom: [{ secretRef: { name: "s" } }] }, "waiting CreateContainerConfigError", 'secret "s" not found'],
    ["root", { image, securityContext: { runAsNonRoot: true } }, "waiting CreateContainerConfigError", "container has runAsNonRoot and image will run as root (pod: \"root_default(UID)\", container: c)"],
    ["none", { image, command: ["nothing"] }, "waiting RunContainerError", 'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nothing": executable file not found in $PATH: unknown'],
  ];
  for (const [name, container] of cases) await cluster.createPod(name, { containers: [{ name: "c", ...container }] });
  for (const [name, , wanted, message] of cases) {
    const pod = await cluster.until(name, 2000, (p) => state(p, "c") === wanted);
    expect(pod.status.containerStatuses![0]!.state.waiting?.message?.replace(pod.metadata.uid, "UID")).toBe(message);
  }
  expect(await cluster.events("never")).toEqual(['Warning ErrImageNeverPull x1 spec.containers{c}: Container image "nginx" is not present with pull policy of Never', "Warning Failed x1 spec.containers{c}: Error: ErrImageNeverPull"]);
  expect(await cluster.events("upper")).toContain("Warning Failed x1 spec.containers{c}: Error: InvalidImageName");
  const looping = await cluster.until("none", 20_000, (p) => state(p, "c") === "waiting CrashLoopBackOff");
  expect(looping.status.containerStatuses![0]!.lastState.terminated).toMatchObject({ exitCode: 128, reason: "StartError", startedAt: "1970-01-01T00:00:00Z" });
  await cluster.createPod("absent", { containers: [{ name: "c", image: "no-such-image:1" }] });
  await cluster.until("absent", 2000, (p) => state(p, "c") === "waiting ErrImagePull");
  const backed = await cluster.until("absent", 5000, (p) => state(p, "c") === "waiting ImagePullBackOff");
  expect(backed.status.containerStatuses![0]!.state.waiting?.message).toMatch(/^Back-off pulling image "no-such-image:1": ErrImagePull: rpc error: code = \w+ desc = failed to pull and unpack image "docker.io\/library\/no-such-image:1": /);
  expect(await cluster.events("absent")).toEqual(expect.arrayContaining(['Normal BackOff x1 spec.containers{c}: Back-off pulling image "no-such-image:1"', "Warning Failed x1 spec.containers{c}: Error: ImagePullBackOff"]));
  await cluster.client.configMaps.create({ metadata: { name: "cm", namespace: "default" }, data: { k: "v" } });
  await cluster.until("config", 15_000, (p) => (p.status.containerStatuses?.[0]?.containerID ?? "") !== "");
  await cluster.stop();
});

test("an ephemeral container is started beside the others", async () => {
  const cluster = await started();
  await cluster.createPod("box", { containers: [{ name: "c", image, args: ["serve:80"] }] });
  await cluster.until("box", 1000, isReady);
  await cluster.client.pods.patch("default", "box", "strategic", { spec: { ephemeralContainers: [{ name: "dbg", image, args: ["print:here", "sleep:500"], targetContainerName: "c" }] } }, "ephemeralcontainers");
  await cluster.until("box", 1000, (p) => state(p, "dbg") === "running");
  const done = await cluster.until("box", 2000, (p) => state(p, "dbg") === "terminated Completed 0");
  expect(done.status.ephemeralContainerStatuses?.[0]).toMatchObject({ name: "dbg", ready: false, restartCount: 0 });
  expect(done.status.ephemeralContainerStatuses?.[0]?.started).toBeUndefined();
  expect(isReady(done)).toBe(true);
  expect(await cluster.events("box")).toContain("Normal Started x1 spec.ephemeralContainers{dbg}: Started container dbg");
  await cluster.stop();
});

test("a new image restarts the container where it is; a deadline ends the pod", async () => {
  const cluster = await started();
  await cluster.createPod("app", { containers: [{ name: "c", image, args: ["serve:80"] }] });
  await cluster.until("app", 1000, isReady);
  await cluster.client.pods.patch("default", "app", "strategic", { spec: { containers: [{ name: "c", image: "example.com/doer:1.0" }] } });
  const pod = await cluster.until("app", 5000, (p) => p.status.containerStatuses![0]!.restartCount === 1 && isReady(p));
  expect(pod.status.containerStatuses![0]!.image).toBe("example.com/doer:1.0");
  expect(await cluster.events("app")).toContain("Normal Killing x1 spec.containers{c}: Container c definition changed, will be restarted");
  await cluster.createPod("late", { activeDeadlineSeconds: 5, terminationGracePeriodSeconds: 3, containers: [{ name: "c", image, args: ["term:0:0"] }] });
  const late = await cluster.until("late", 7000, (p) => p.status.phase === "Failed");
  expect(late.status).toMatchObject({ reason: "DeadlineExceeded", message: "Pod was active on the node longer than the specified deadline" });
  expect(state(late, "c")).toBe("terminated Completed 0");
  await cluster.stop();
});

test("readiness gates", async () => {
  const cluster = await started();
  await cluster.createPod("gated", { readinessGates: [{ conditionType: "example.com/gate" }], containers: [{ name: "c", image, args: ["serve:80"] }] });
  const before = await cluster.until("gated", 1000, (p) => state(p, "c") === "running");
  expect(conditions(before)[2]).toBe('Ready=False ReadinessGatesNotReady: corresponding condition of pod readiness gate "example.com/gate" does not exist.');
  await cluster.client.pods.patch("default", "gated", "strategic", { status: { conditions: [{ type: "example.com/gate", status: "False" }] } }, "status");
  await cluster.until("gated", 1000, (p) => conditions(p).includes('Ready=False ReadinessGatesNotReady: the status of pod readiness gate "example.com/gate" is not "True", but False'));
  await cluster.client.pods.patch("default", "gated", "strategic", { status: { conditions: [{ type: "example.com/gate", status: "True" }] } }, "status");
  const ready = await cluster.until("gated", 1000, isReady);
  expect(conditions(ready)).toContain("example.com/gate=True");
  await cluster.stop();
});

test("probes: startup gates the others, liveness restarts, readiness takes out", async () => {
  const cluster = await started();
  await cluster.createPod("live", { terminationGracePeriodSeconds: 1, containers: [{ name: "c", image, args: ["serve:80:3"], livenessProbe: { httpGet: { path: "/", port: 80 }, periodSeconds: 1, failureThreshold: 2 } }] });
  const pod = await cluster.until("live", 10_000, (p) => p.status.containerStatuses?.[0]?.restartCount === 1);
  expect(pod.status.containerStatuses![0]!.lastState.terminated).toMatchObject({ exitCode: 0, reason: "Completed" });
  expect(await cluster.events("live")).toEqual(expect.arrayContaining(["Warning Unhealthy x2 spec.containers{c}: Liveness probe failed: HTTP probe failed with statuscode: 500", "Normal Killing x1 spec.containers{c}: Container c failed liveness probe, will be restarted"]));
  await cluster.createPod("slow", { containers: [{ name: "c", image, args: ["sleep:2500", "serve:80"], startupProbe: { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 10 }, readinessProbe: { exec: { command: ["nothing"] }, periodSeconds: 1 } }] });
  const begun = await cluster.until("slow", 6000, (p) => p.status.containerStatuses?.[0]?.started === true);
  expect(begun.status.containerStatuses![0]!.ready).toBe(false);
  await cluster.clock.advance(500);
  const events = await cluster.events("slow");
  expect(events).toContainEqual(expect.stringMatching(/^Warning Unhealthy x3 spec.containers{c}: Startup probe failed: dial tcp 10.244.1.\d+:80: connect: connection refused$/) as string);
  expect(events).toContainEqual(expect.stringMatching(/^Warning Unhealthy x1 spec.containers{c}: Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: /) as string);
  await cluster.createPod("hang", { containers: [{ name: "c", image, args: ["serve:80"], readinessProbe: { exec: { command: ["do", "sleep:5000"] }, periodSeconds: 2 } }] });
  await cluster.clock.advance(3000);
  expect(await cluster.events("hang")).toContainEqual('Warning Unhealthy x1 spec.containers{c}: Readiness probe failed: command "do sleep:5000" timed out');
  await cluster.stop();
});

test("environment and its expansion", async () => {
  const cluster = await started();
  await cluster.client.configMaps.create({ metadata: { name: "cm", namespace: "default" }, data: { KEY: "value", OTHER: "x" } });
  await cluster.createPod("env", {
    restartPolicy: "Never",
    containers: [{
      name: "c", image, args: ["env:P_KEY", "env:IP", "env:SUM", "env:CPU", "env:MEM", "env:ARG", "env:LABEL", "print:$(SUM)", "env:KUBERNETES_SERVICE_HOST"], resources: { limits: { cpu: "1500m" }, requests: { memory: "1Mi" } },
      envFrom: [{ prefix: "P_", configMapRef: { name: "cm" } }],
      env: [
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }, { name: "SUM", value: "$(P_KEY)-$$(IP)-$(NONE)-$(KUBERNETES_SERVICE_PORT)" },
        { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } }, { name: "MEM", valueFrom: { resourceFieldRef: { resource: "requests.memory", divisor: "1Ki" } } },
        { name: "ARG", valueFrom: { configMapKeyRef: { name: "nope", key: "x", optional: true } } }, { name: "LABEL", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: "KUBERNETES_SERVICE_HOST", value: "mine" },
      ],
    }],
  }, { labels: { app: "one" } });
  await cluster.until("env", 2000, (p) => p.status.phase === "Succeeded");
  expect(cluster.logs("env", "c")).toEqual([
    "P_KEY=value", "IP=10.244.1.2", "SUM=value-$(IP)-$(NONE)-443", "CPU=2", "MEM=1024", "ARG=(none)", "LABEL=one", "value-$(IP)-$(NONE)-443", "KUBERNETES_SERVICE_HOST=mine",
  ]);
  await cluster.stop();
});

test("a deleted pod's sidecars hear SIGTERM after all others have ended", async () => {
  const { cluster, node } = await (async () => {
    const made = await testCluster();
    const added = made.addNode(1);
    await made.clock.advance(300);
    return { cluster: made, node: added };
  })();
  const side = (name: string): object => ({ name, image, restartPolicy: "Always", args: ["term:500:0"] });
  await cluster.createPod("order", { initContainers: [side("s1"), side("s2")], containers: [{ name: "quick", image, args: ["term:0:0"] }, { name: "slow", image, args: ["term:3000:0"] }] });
  await cluster.until("order", 2000, isReady);
  await cluster.client.pods.delete("default", "order");
  await cluster.clock.advance(2000);
  const dying = await cluster.pod("order");
  expect(["s1", "s2", "quick", "slow"].map((name) => state(dying, name))).toEqual(["running", "running", "running", "running"]);
  const traced = async (): Promise<string[]> => {
    const { status, body } = await node.keeper.serve({ method: "GET", path: "/debug/trace/default/order" });
    return status === 200 ? (JSON.parse(body) as { steps: { step: string; container?: string }[] }).steps.filter(({ step }) => step === "ContainerEnded").map(({ container }) => container!) : [];
  };
  expect(await traced()).toEqual(["quick"]);
  let last: string[] = [];
  for (let i = 0; i < 60; i++) {
    await cluster.clock.advance(50);
    const now = await traced();
    if (now.length > 0) last = now;
  }
  expect(last).toEqual(["quick", "slow", "s2"]);
  await cluster.gone("order", 2000);
  await cluster.stop();
});

test("a container that was never there when its pod ended is unknown; a startup probe that never passes restarts it", async () => {
  const cluster = await started();
  await cluster.createPod("late", { activeDeadlineSeconds: 3, containers: [{ name: "c", image: "no-such-image:1" }] });
  const late = await cluster.until("late", 6000, (p) => p.status.phase === "Failed" && state(p, "c").startsWith("terminated"));
  expect(late.status.reason).toBe("DeadlineExceeded");
  expect(late.status.containerStatuses![0]!.state.terminated).toMatchObject({ exitCode: 137, reason: "ContainerStatusUnknown", message: "The container could not be located when the pod was terminated" });
  await cluster.createPod("never", { terminationGracePeriodSeconds: 1, containers: [{ name: "c", image, args: ["term:0:0"], startupProbe: { httpGet: { path: "/", port: 80 }, periodSeconds: 1, failureThreshold: 2 }, livenessProbe: { tcpSocket: { port: 80 } } }] });
  const pod = await cluster.until("never", 5000, (p) => p.status.containerStatuses?.[0]?.restartCount === 1);
  expect(pod.status.containerStatuses![0]!.started).toBe(false);
  expect(await cluster.events("never")).toEqual(expect.arrayContaining([
    // The second run's first probe has failed, too.
    'Warning Unhealthy x3 spec.containers{c}: Startup probe failed: Get "http://10.244.1.3:80/": dial tcp 10.244.1.3:80: connect: connection refused',
    "Normal Killing x1 spec.containers{c}: Container c failed startup probe, will be restarted",
  ]));
  await cluster.stop();
});

test("what others write over a pod's status is written again", async () => {
  const cluster = await started();
  await cluster.createPod("web", { containers: [{ name: "c", image, args: ["serve:80"] }] });
  await cluster.until("web", 2000, isReady);
  // As the node's controller does with the pods of a node that it does not hear of.
  await cluster.client.pods.patch("default", "web", "strategic", { status: { conditions: [{ type: "Ready", status: "False" }] } }, "status");
  expect(isReady(await cluster.pod("web"))).toBe(false);
  await cluster.until("web", 12_000, isReady);
  await cluster.stop();
});
