/** Processes of a container: signals, jobs, terminals, what ends and what goes on; files and archives. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { VolumeFile } from "../../src/cri/types.ts";
import { newUserland } from "../../src/shell/index.ts";
import { newBox } from "./machine.ts";

test("process 1 is deaf to signals that it does not handle, and its end is everybody's", async () => {
  const box = newBox();
  const first = box.start(["sh", "-c", "sleep 1000 & wait"]);
  let ended: number | undefined;
  void first.process.ended.then((code) => (ended = code));
  await box.settle(10);
  first.process.signal("SIGTERM");
  await box.settle(1000);
  expect(ended).toBeUndefined();
  expect((await box.run(["sh", "-c", "ps | grep -c sleep; kill -TERM 1; kill -KILL 1; echo still"])).stdout).toMatch(/still/);
  first.process.kill();
  await box.settle(10);
  expect(ended).toBe(137);
  expect((await box.run(["true"]).catch(() => ({ code: -1 }))).code).not.toBe(137);
});

test("a trap of process 1 runs when its child is done, and at once while it waits", async () => {
  for (const [script, ms] of [["trap 'echo bye; exit 7' TERM; while true; do sleep 5; done", 6_000], ["trap 'echo bye; exit 7' TERM; sleep 1000 & wait", 10]] as const) {
    const box = newBox();
    const { process, output } = box.start(["sh", "-c", script]);
    let ended: number | undefined;
    void process.ended.then((code) => (ended = code));
    await box.settle(100);
    process.signal("SIGTERM");
    await box.settle(ms);
    expect([output(), ended]).toEqual(["bye\n", 7]);
  }
});

test("a loop without end takes time, lets others work, and can be killed", async () => {
  const box = newBox();
  const { process } = box.start(["sh", "-c", "while :; do :; done"]);
  let ended: number | undefined;
  void process.ended.then((code) => (ended = code));
  expect((await box.run(["sh", "-c", "echo alive; ps"])).stdout).toMatch(/^alive\n/);
  const before = box.clock.nowMs();
  await box.settle(200);
  expect(box.clock.nowMs() - before).toBeGreaterThanOrEqual(200);
  expect(ended).toBeUndefined();
  process.kill();
  await box.settle(50);
  expect(ended).toBe(137);
});

test("a writer without a reader ends by SIGPIPE", async () => {
  const box = newBox();
  box.start(["sleep", "infinity"]);
  expect(await box.run(["sh", "-c", "set -o pipefail; yes | head -n 2; echo $?; pidof yes || echo gone"])).toMatchObject({ stdout: "y\ny\n141\ngone\n" });
});

test("a terminal: prompt, echo, erasing, ^C, ^D, size, history of jobs", async () => {
  const box = newBox();
  box.start(["sleep", "infinity"]);
  const { process, output } = box.start(["sh"], { tty: true });
  const type = async (text: string, ms = 50): Promise<void> => {
    process.write(new TextEncoder().encode(text));
    await box.settle(ms);
  };
  let ended: number | undefined;
  void process.ended.then((code) => (ended = code));
  await box.settle(10);
  expect(output()).toBe("/ # ");
  await type("echo aXX\x7f\x7fbc\r");
  expect(output()).toContain("abc\r\n/ # ");
  await type("sleep 100\r");
  await type("\x03");
  expect(output()).toMatch(/\^C\r\n(\r\n)?\/ # $/);
  process.resize({ width: 100, height: 30 });
  await type("stty size; echo $COLUMNS $LINES; tty\r");
  expect(output()).toContain("30 100\r\n100 30\r\n/dev/pts/0\r\n");
  await type("for i in 1 2\r");
  expect(output()).toMatch(/> $/);
  await type("do echo n$i; done\r");
  expect(output()).toContain("n1\r\nn2\r\n");
  await type("sleep 1 &\r");
  expect(output()).toMatch(/\[1\] \d+\r\n/);
  await type("\r", 2000);
  await type("\r");
  expect(output()).toMatch(/\[1\]\+ {2}Done +sleep 1/);
  await type("exit 3\r");
  expect(ended).toBe(3);
  const second = box.start(["sh"], { tty: true });
  await box.settle(10);
  second.process.write(new TextEncoder().encode("\x04"));
  let code: number | undefined;
  void second.process.ended.then((status) => (code = status));
  await box.settle(10);
  expect(code).toBe(0);
});

test("volumes: shared, read-only, by subPath, full, updated all at once", async () => {
  const userland = newUserland(() => 1_735_689_600_000);
  const scratch = userland.newVolume(), small = userland.newVolume({ bytesMax: 1000 }), config = userland.newVolume({ mode: 0o755 });
  config.setFiles(new Map<string, Uint8Array | VolumeFile>([["a", new TextEncoder().encode("one\n")], ["b/c", { bytes: new TextEncoder().encode("deep\n"), mode: 0o600 }]]));
  const mounts = [
    { mountPath: "/scratch", volume: scratch }, { mountPath: "/small", volume: small }, { mountPath: "/etc/conf", volume: config, readOnly: true }, { mountPath: "/etc/only", volume: config, subPath: "a", readOnly: true },
    { mountPath: "/part", volume: scratch, subPath: "x/y" },
  ];
  const one = newBox({ mounts }), two = newBox({ mounts, readOnlyRootFilesystem: true });
  for (const box of [one, two]) box.start(["sleep", "infinity"]);
  await one.run(["sh", "-c", "echo hi > /scratch/f; echo p > /part/q"]);
  expect((await two.run(["sh", "-c", "cat /scratch/f /scratch/x/y/q; echo no > /f"]))).toMatchObject({ stdout: "hi\np\n", stderr: "sh: can't create /f: Read-only file system\n", code: 1 });
  expect((await one.run(["sh", "-c", "cat /etc/conf/a /etc/only; ls -l /etc/conf/b/ | tail -1 | cut -c1-10; rm /etc/conf/a"]))).toMatchObject({ stdout: "one\none\n-rw-------\n", stderr: "rm: can't remove '/etc/conf/a': Read-only file system\n" });
  config.setFiles(new Map([["a", new TextEncoder().encode("two\n")]]));
  expect((await one.run(["sh", "-c", "cat /etc/conf/a /etc/only; ls /etc/conf; readlink /etc/conf/a"])).stdout).toBe("two\none\na\n..data/a\n");
  expect(await one.run(["sh", "-c", "head -c 2000 /dev/zero > /small/f; echo $?; df /small | tail -1 | cut -c1-5"])).toMatchObject({ stdout: "1\ntmpfs\n" });
  expect(scratch.usedBytes()).toBe(5);
  expect(new TextDecoder().decode(scratch.readFile("f"))).toBe("hi\n");
});

test("tar and gzip: what the host packs is unpacked, and the other way", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tar-"));
  try {
    const long = `${"d".repeat(60)}/${"f".repeat(80)}`;
    execFileSync("sh", ["-c", `mkdir -p t/${"d".repeat(60)} && printf 'a\\000\\377' > t/bytes && echo x > t/${long} && ln -s bytes t/link && ln t/bytes t/hard && chmod 640 t/bytes && touch -d '2020-02-02 02:02:02 UTC' t/bytes`], { cwd: folder });
    for (const format of ["gnu", "ustar", "pax"]) {
      const packed = execFileSync("tar", [`--format=${format}`, "-czf", "-", "t"], { cwd: folder });
      const box = newBox();
      box.start(["sleep", "infinity"]);
      const { stdout, stderr } = await box.run(["sh", "-c", `cd /tmp && tar xzf - && od -An -tx1 t/bytes && cat t/${long} && readlink t/link && cat t/hard | wc -c && stat -c '%a %Y' t/bytes`], packed);
      expect([format, stdout, stderr]).toEqual([format, " 61 00 ff\nx\nbytes\n3\n640 1580608922\n", ""]);
      writeFileSync(join(folder, "back.tar"), (await box.run(["tar", "cf", "-", "-C", "/tmp", "t"])).bytes);
      const out = mkdtempSync(join(folder, "out-"));
      execFileSync("tar", ["xf", "../back.tar"], { cwd: out });
      expect(readFileSync(join(out, "t", "bytes"))).toEqual(Buffer.from([0x61, 0, 0xff]));
      expect(execFileSync("sh", ["-c", `cat t/${long}; readlink t/link; stat -c '%a %Y %h' t/bytes`], { cwd: out }).toString()).toBe("x\nbytes\n640 1580608922 2\n");
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("users, modes and links are heeded", async () => {
  const box = newBox({ runAsUser: 1000, runAsGroup: 3000, supplementalGroups: [2000] });
  box.start(["sleep", "infinity"]);
  expect((await box.run(["sh", "-c", "id; echo x > /etc/x; cat /etc/shadow; echo y > /tmp/y; ls -ln /tmp | tail -1 | cut -c1-29; echo $HOME; ls /root"]))).toMatchObject({
    stdout: "uid=1000 gid=3000 groups=3000,2000\n-rw-r--r--    1 1000     3000\n/\n",
    stderr: "sh: can't create /etc/x: Permission denied\ncat: can't open '/etc/shadow': Permission denied\nls: can't open '/root': Permission denied\n",
  });
});
