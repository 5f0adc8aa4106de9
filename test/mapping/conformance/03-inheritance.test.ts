/** Point 3: handing a mapping without a name to a child and to a process that runs. */
import { type StdioOptions, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { access } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { createMapping, type Mapping, MappingError, openMapping, receiveMapping } from "foliodb/mapping";
import { afterEach, expect, test, vi } from "vitest";
import { temporaryFolder } from "../../support/temp-folder.ts";
import { codeOf, codeOfAsync, isLinux, isWindows, newName, type Other, STDIO, startOther } from "./others.ts";

const folder = temporaryFolder();
const mappings: Mapping[] = [];
function kept(mapping: Mapping): Mapping {
  mappings.push(mapping);
  return mapping;
}
afterEach(() => {
  for (const mapping of mappings.splice(0)) mapping.close();
});

function memory(): Mapping {
  return kept(createMapping({ size: 8192 }));
}

let fileCount = 0;
function file(): Mapping {
  const path = join(folder, `file-${fileCount++}`);
  writeFileSync(path, "content of the file");
  return kept(createMapping({ path, size: 8192 }));
}

const PREFIX = "foliodb-mapping-1.";
/** A token with other content. */
function altered(token: string, changes: Record<string, unknown>): string {
  const content = JSON.parse(Buffer.from(token.slice(PREFIX.length), "base64url").toString());
  return PREFIX + Buffer.from(JSON.stringify({ ...content, ...changes })).toString("base64url");
}

/** A child that has inherited the mapping, and received it. */
async function childWith(mapping: Mapping, access?: "read" | "write"): Promise<Other> {
  const inheritance = mapping.inherit({ stdio: STDIO, ...(access === undefined ? {} : { access }) });
  const child = await startOther([inheritance.token], inheritance.stdio);
  inheritance.close();
  inheritance.close();
  expect(await child.ask("receive", { token: await child.ask("argument") })).toMatchObject({ size: mapping.size });
  return child;
}

test.each([
  ["memory", memory],
  ["a file", file],
] as const)("a child inherits %s, and both see each other's stores", async (_what, make) => {
  const mapping = make();
  const view = mapping.view();
  view.bytes[0] = 65;
  const child = await childWith(mapping);
  await child.ask("view");
  expect(await child.ask("load")).toEqual([65]);
  await child.ask("store", { at: 8191, bytes: [66] });
  expect(view.bytes[8191]).toBe(66);
  view.close();
});

test.each([
  ["memory", memory],
  ["a file", file],
] as const)(
  "%s is handed to a process that runs already, and outlives the sender's own mapping",
  async (_what, make) => {
    const other = await startOther();
    const mapping = make();
    const view = mapping.view();
    view.bytes[0] = 65;
    const token = await mapping.handTo(other.pid);
    expect(token).toMatch(/^\S+$/);
    mapping.close();
    view.close();
    expect(await other.ask("receive", { token })).toMatchObject({ protection: "readwrite", existed: false });
    await other.ask("view");
    expect(await other.ask("load")).toEqual([65]);
  },
);

test("what was handed over can be handed on: there and back", async () => {
  const other = await startOther();
  const mapping = memory();
  const view = mapping.view();
  await other.ask("receive", { token: await mapping.handTo(other.pid) });
  await other.ask("view");
  const back = kept(receiveMapping(await other.ask<string>("handTo", { pid: process.pid })));
  const again = back.view();
  await other.ask("store", { bytes: [1, 2, 3] });
  expect([...view.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
  expect([...again.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
  expect(again.address).not.toBe(view.address);
  view.close();
  again.close();
});

test.each([
  ["memory", memory],
  ["a file", file],
] as const)("%s narrowed to reading can't be mapped for writing by who receives it", async (_what, make) => {
  const mapping = make();
  const view = mapping.view();
  view.bytes[5] = 55;
  const other = await startOther();
  await other.ask("receive", { token: await mapping.handTo(other.pid, { access: "read" }) });
  for (const user of [other, await childWith(mapping, "read")]) {
    expect(await codeOfAsync(user.ask("view", { access: "write" }))).toBe("ACCESS");
    await user.ask("view");
    expect(await user.ask("load", { at: 5 })).toEqual([55]);
    await user.ask("store", { at: 5, bytes: [1] });
    expect(view.bytes[5]).toBe(55);
  }
  expect(codeOf(() => kept(receiveMapping("x")))).toBe("OPTION");
  view.close();
});

// Windows' handle of lesser access is shown by the refusal above: there is no descriptor to look at.
test.runIf(!isWindows)("the descriptor a child gets for reading is one for reading", async () => {
  for (const make of [memory, file]) {
    const mapping = make();
    for (const [access, flags] of [
      ["read", 0],
      ["write", 2],
    ] as const) {
      const inheritance = mapping.inherit({ stdio: STDIO, access });
      const number = inheritance.stdio.length - 1;
      const child = await startOther([inheritance.token], inheritance.stdio);
      inheritance.close();
      expect(await child.ask("isOpenDescriptor", { number })).toBe(true);
      if (isLinux) expect((await child.ask<number>("descriptorFlags", { number })) & 3).toBe(flags);
      const written = await codeOfAsync(child.ask("writeDescriptor", { number }));
      expect(written).toBe(access === "read" ? "EBADF" : undefined);
      // Receiving takes the descriptor over: nothing is left at its number.
      await child.ask("receive", { token: inheritance.token });
      expect(await codeOfAsync(child.ask("isOpenDescriptor", { number }))).toBe("EBADF");
    }
  }
});

test("access is never widened", async () => {
  const path = join(folder, "for-reading");
  writeFileSync(path, "content");
  const mapping = kept(createMapping({ path, protection: "readonly" }));
  expect(codeOf(() => mapping.inherit({ access: "write" }))).toBe("ACCESS");
  expect(await codeOfAsync(mapping.handTo(process.pid, { access: "write" }))).toBe("ACCESS");
  const received = kept(receiveMapping(await mapping.handTo(process.pid)));
  expect(received).toMatchObject({ protection: "readonly", size: 7, path });
});

test("a token is for one process, once, and for a limited time", async () => {
  const [right, wrong] = await Promise.all([startOther(), startOther()]);
  const mapping = memory();
  const token = await mapping.handTo(right.pid);
  expect(await codeOfAsync(wrong.ask("receive", { token }))).toBe("NOT_HANDED");
  expect(codeOf(() => receiveMapping(token))).toBe("NOT_HANDED");
  // Who knows the address, but not the secret, gets nothing, and takes nothing away.
  const { address } = JSON.parse(Buffer.from(token.slice(PREFIX.length), "base64url").toString());
  const forged = altered(token, { address: address.replace(/^./, (digit: string) => (digit === "0" ? "1" : "0")) });
  expect(await codeOfAsync(right.ask("receive", { token: forged }))).toBe("NOT_HANDED");
  await right.ask("receive", { token });
  expect(await codeOfAsync(right.ask("receive", { token }))).toBe("NOT_HANDED");
  // On Windows the handle lies in the receiver from the first, and waits.
  if (isWindows) return;
  const late = await mapping.handTo(right.pid, { timeout: 50 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await codeOfAsync(right.ask("receive", { token: late }))).toBe("NOT_HANDED");
});

test.runIf(isLinux)(
  "hand-overs that are over, and inheritances that are closed, leave no descriptor and no thread behind",
  async () => {
    const other = await startOther();
    const mapping = memory();
    const using = () => ({
      files: readdirSync("/proc/self/fd").length,
      threads: readdirSync("/proc/self/task").length,
    });
    // Node's own threads start with the first asynchronous call.
    await access(folder);
    const before = using();
    for (let i = 0; i < 20; i++) {
      const token = await mapping.handTo(other.pid);
      expect(using()).toEqual({ files: before.files + 4, threads: before.threads + 1 });
      await other.ask("receive", { as: `m${i}`, token });
      await vi.waitFor(() => expect(using()).toEqual(before));
      mapping.inherit().close();
      await mapping.handTo(other.pid, { timeout: 1 });
      await vi.waitFor(() => expect(using()).toEqual(before));
    }
    // Many at a time, and of each kind.
    const tokens = await Promise.all(Array.from({ length: 10 }, () => mapping.handTo(other.pid, { timeout: 300 })));
    for (const token of tokens.slice(5)) await other.ask("receive", { as: token, token });
    await vi.waitFor(() => expect(using()).toEqual(before));
  },
);

test("a process that received a mapping of a name is a user of that name", async () => {
  const name = newName();
  const mapping = kept(createMapping({ name, size: 4096 }));
  const other = await startOther();
  expect(await other.ask("receive", { token: await mapping.handTo(other.pid) })).toMatchObject({ name });
  mapping.close();
  const found = kept(openMapping(name));
  expect(found.size).toBe(4096);
  found.close();
  await other.kill();
  expect(codeOf(() => openMapping(name))).toBe("NAME_NOT_FOUND");
});

function inheritedToken(mapping: Mapping): string {
  const inheritance = mapping.inherit();
  inheritance.close();
  return inheritance.token;
}

test("a token whose numbers are out of bounds is refused before anything is asked of the system", async () => {
  const mapping = memory();
  using inheritance = mapping.inherit();
  const top = 2n ** 63n;
  const changes: Record<string, unknown>[] = [
    ...[3, 2 ** 31, -1, 0.5, "0", null].map((backing) => ({ backing })),
    ...[3, 2 ** 53 - 1, -1, 0.5, "1", null].map((protection) => ({ protection })),
    ...[0, top, 10n ** 19n - 1n, -1].map((size) => ({ size: String(size) })),
    ...[top, top - 8192n, -1].map((start) => ({ start: String(start) })),
    { size: String(top - 1n), start: "1" },
    // Their sum wraps around to less than there is.
    { size: String(99n * 10n ** 17n), start: String(2n ** 64n + 4096n - 99n * 10n ** 17n) },
    { name: "x/../../x" },
    { name: "x".repeat(201) },
  ];
  for (const change of changes) {
    expect([change, codeOf(() => receiveMapping(altered(inheritance.token, change)))]).toEqual([change, "OPTION"]);
    const handed = await mapping.handTo(process.pid, { timeout: 500 });
    expect([change, codeOf(() => receiveMapping(altered(handed, change)))]).toEqual([change, "OPTION"]);
  }
  for (const number of [2 ** 31, 2 ** 32 + 5, -1, 0.5, "5", null]) {
    expect(codeOf(() => receiveMapping(altered(inheritance.token, { number })))).toBe("OPTION");
  }
  for (const address of ["", ":", "x", `${"0".repeat(32)}:`, `${"g".repeat(32)}:5`, 5]) {
    expect(codeOf(() => receiveMapping(altered(inheritance.token, { kind: "handed", address })))).toBe("OPTION");
  }
});

/** What a field of a token could be made to say. */
const lie = fc.oneof(
  fc.jsonValue(),
  fc.integer({ min: -2, max: 5 }),
  fc.bigInt({ min: 0n, max: 2n ** 64n }).map(String),
  fc.constantFrom(..."0 1 4096 8192 65536 9223372036854775807 9223372036854710272 9999999999999999999".split(" ")),
);
const FIELDS = ["kind", "number", "identity", "maker", "address", "backing", "size", "protection", "path", "name"];
const lies = fc.dictionary(fc.constantFrom(...FIELDS, "machineWide", "start"), lie, { minKeys: 1, maxKeys: 3 });

test("whatever a token is made to say, it is a mapping whose views can be asked for, or an error with a code", async () => {
  const mapping = memory();
  await fc.assert(
    fc.asyncProperty(lies, fc.boolean(), async (changes, isInherited) => {
      const token = isInherited ? inheritedToken(mapping) : await mapping.handTo(process.pid, { timeout: 500 });
      try {
        // As if another process had made it.
        using received = receiveMapping(altered(token, { maker: "", ...changes }));
        using view = received.view({ length: 1 });
        expect(view.bytes[0]).toBeTypeOf("number");
      } catch (error) {
        expect(error).toBeInstanceOf(MappingError);
      }
    }),
    { numRuns: isWindows ? 100 : 400 },
  );
});

test("what is no token, or no process, is refused", async () => {
  for (const token of ["", "x", PREFIX, `${PREFIX}${Buffer.from("{}").toString("base64url")}`]) {
    expect(codeOf(() => receiveMapping(token))).toBe("OPTION");
  }
  const mapping = memory();
  for (const pid of [0, -1, 1.5, Number.NaN]) expect(await codeOfAsync(mapping.handTo(pid))).toBe("OPTION");
  expect(await codeOfAsync(mapping.handTo(process.pid, { timeout: -1 }))).toBe("OPTION");
  // No system numbers a process like these.
  for (const pid of [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 5, 2 ** 32 - 1]) {
    expect(await codeOfAsync(mapping.handTo(pid))).toBe("NOT_FOUND");
  }
  expect(await codeOfAsync(mapping.handTo(2 ** 32))).toBe("OPTION");
  using inheritance = mapping.inherit();
  // Its end is missing.
  expect(codeOf(() => receiveMapping(inheritance.token.replace(/.$/, "")))).toBe("OPTION");
});

test("what a process has readied for its children it can't take itself, and they have it all the same", async () => {
  const mapping = memory();
  using inheritance = mapping.inherit({ stdio: STDIO });
  expect(codeOf(() => receiveMapping(inheritance.token))).toBe("NOT_HANDED");
  // Nor can another thread of it.
  const worker = new Worker(
    `const { workerData, parentPort } = require("node:worker_threads");
     import(workerData.module).then(({ receiveMapping }) => {
       try { receiveMapping(workerData.token); } catch (error) { parentPort.postMessage(error.code); }
     });`,
    { eval: true, workerData: { token: inheritance.token, module: import.meta.resolve("foliodb/mapping") } },
  );
  expect(await once(worker, "message")).toEqual(["NOT_HANDED"]);
  const child = await startOther([inheritance.token], inheritance.stdio);
  expect(await child.ask("receive", { token: inheritance.token })).toMatchObject({ size: 8192 });
});

test("several children inherit one mapping by one token, each once", async () => {
  const mapping = memory();
  const view = mapping.view();
  const inheritance = mapping.inherit({ stdio: STDIO });
  const children = [];
  for (let i = 0; i < 2; i++) children.push(await startOther([inheritance.token], inheritance.stdio));
  inheritance.close();
  for (const [i, child] of children.entries()) {
    await child.ask("receive", { token: inheritance.token });
    await child.ask("view");
    await child.ask("store", { at: i, bytes: [i + 1] });
    expect(await codeOfAsync(child.ask("receive", { token: inheritance.token }))).toBe("NOT_HANDED");
  }
  expect([...view.bytes.subarray(0, 2)]).toEqual([1, 2]);
  view.close();
});

test("on its way to another process a name's mapping keeps the name", async () => {
  const other = await startOther();
  const [handed, inherited] = [newName(), newName()];
  const mapping = createMapping({ name: handed, size: 4096 });
  const token = await mapping.handTo(other.pid);
  mapping.close();
  openMapping(handed).close();
  expect(await other.ask("receive", { token })).toMatchObject({ name: handed });
  expect(await other.ask("create", { as: "again", name: handed, size: 4096 })).toMatchObject({ existed: true });

  const heir = createMapping({ name: inherited, size: 4096 });
  const inheritance = heir.inherit({ stdio: STDIO });
  heir.close();
  const child = await startOther([inheritance.token], inheritance.stdio);
  openMapping(inherited).close();
  expect(await child.ask("receive", { token: inheritance.token })).toMatchObject({ name: inherited });
  inheritance.close();
  kept(openMapping(inherited));
  await child.exit();

  // What nobody takes gives the name up. On Windows it waits in the other process, without a limit.
  if (isWindows) return;
  const late = newName();
  const forgotten = createMapping({ name: late, size: 4096 });
  await forgotten.handTo(other.pid, { timeout: 50 });
  forgotten.close();
  await vi.waitFor(() => expect(codeOf(() => openMapping(late).close())).toBe("NAME_NOT_FOUND"));
  const unused = createMapping({ name: late, size: 4096 });
  const closed = unused.inherit();
  unused.close();
  openMapping(late).close();
  closed.close();
  expect(codeOf(() => openMapping(late))).toBe("NAME_NOT_FOUND");
});

test.runIf(isLinux)("a sender that is stopped keeps no receiver waiting for ever, however many wait", async () => {
  const [sender, receiver] = await Promise.all([startOther(), startOther()]);
  await sender.ask("create", { size: 4096 });
  const token = await sender.ask<string>("handTo", { pid: receiver.pid });
  process.kill(sender.pid, "SIGSTOP");
  const { address } = JSON.parse(Buffer.from(token.slice(PREFIX.length), "base64url").toString());
  // As many as the system lets wait, and more.
  const waiting = Array.from({ length: 20 }, () => connect(`\0${address.slice(33)}`).on("error", () => {}));
  const refused = codeOfAsync(receiver.ask("receive", { token }));
  expect(await Promise.race([refused, pause(15_000, "waits")])).toBe("NOT_HANDED");
  for (const socket of waiting) socket.destroy();
});

/** Descriptors of this process that are memory of a mapping. */
function memoryDescriptors(): string[] {
  const paths = readdirSync("/proc/self/fd").map((number) => `/proc/self/fd/${number}`);
  return paths.filter((path) => existsSync(path) && readlinkSync(path).startsWith("/memfd:foliodb"));
}

test.runIf(isLinux)(
  "memory without a name can be made neither shorter nor longer by who has it, and is its user's",
  () => {
    const before = memoryDescriptors();
    memory();
    const [path] = memoryDescriptors().filter((one) => !before.includes(one));
    expect(statSync(path)).toMatchObject({ size: 8192, mode: 0o100600 });
    for (const size of [0, 8191, 8193]) {
      expect(() => truncateSync(path, size)).toThrow(expect.objectContaining({ code: "EPERM" }));
    }
  },
);

test.runIf(isLinux)("what was narrowed to reading another user's process can't open for writing", (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root may start a process of another user");
  const mapping = memory();
  using inheritance = mapping.inherit({ access: "read", stdio: ["ignore", "pipe", "inherit"] });
  // By the shell, which every user can start; a Node.js may lie where only one user gets.
  const program = `
    for redirection in "4<" "4<>"; do
      (eval "exec $redirection /proc/self/fd/3") 2> /dev/null && echo opened || echo refused
    done`;
  const stdio = inheritance.stdio as StdioOptions;
  const other = spawnSync("/bin/sh", ["-c", program], {
    uid: 65534,
    gid: 65534,
    cwd: "/",
    stdio,
    encoding: "utf8",
  });
  expect(other.stdout).toBe("refused\nrefused\n");
});

test.runIf(!isWindows)("a token whose descriptor is another file's is refused, and that file stays open", async () => {
  const mapping = memory();
  const inheritance = mapping.inherit();
  // In this process the number is something else, or nothing.
  const number = inheritance.stdio.length - 1;
  expect(codeOf(() => receiveMapping(altered(inheritance.token, { maker: "another" })))).toBe("NOT_HANDED");
  if (isLinux) expect(readFileSync(`/proc/self/fdinfo/${number}`, "utf8")).toMatch(/^pos:/);
  inheritance.close();
});
