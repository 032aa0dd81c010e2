/**
 * One version's view of objects that are stored in another: converted, pruned and defaulted by its own schema. Follows
 * k8s.io/apiextensions-apiserver/pkg/apiserver/conversion (nop_converter.go, webhook_converter.go) and
 * pkg/apiserver/customresource_handler.go (schemaCoercingDecoder, crdConversionRESTOptionsGetter).
 */
import { deepCopy, deepEqual, deepFreeze } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newUid } from "../../apimachinery/names.ts";
import { failure } from "../../apimachinery/status.ts";
import type { KeyValue, Op, Storage, StorageEvent } from "../../storage/storage.ts";
import type { Random } from "../../time/clock.ts";
import { webhookUrl } from "../webhook.ts";
import type { Definition } from "./types.ts";

/** Objects in another version; throws ApiError. */
export type Convert = (objects: readonly KubeObject[], apiVersion: string) => Promise<readonly KubeObject[]>;

/** Undefined when nothing but the apiVersion changes (strategy None). */
export function webhookConversion(definition: Definition, random: Random, fetch: ((request: Request) => Promise<Response>) | undefined): Convert | undefined {
  const { conversion, group, names } = definition.spec;
  if (conversion?.strategy !== "Webhook" || conversion.webhook?.clientConfig === undefined) return undefined;
  const url = webhookUrl(conversion.webhook.clientConfig);
  const version = (conversion.webhook.conversionReviewVersions ?? []).find((v) => v === "v1" || v === "v1beta1") ?? "v1";
  return async (objects, apiVersion) => {
    const other = objects.filter((o) => o.apiVersion !== apiVersion);
    if (other.length === 0) return objects;
    const fail = (why: string): never => {
      throw failure(500, "", `conversion webhook for ${group}/${other[0]!.apiVersion.split("/")[1]!}, Kind=${names.kind!} failed: ${why}`);
    };
    if (fetch === undefined) return fail(`Post "${url}?timeout=30s": no way to reach webhooks`);
    const uid = newUid(random);
    let review: { response?: { uid?: string; result?: { status?: string; message?: string }; convertedObjects?: KubeObject[] } };
    try {
      const response = await fetch(new Request(`${url}?timeout=30s`, {
        method: "POST", headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify({ kind: "ConversionReview", apiVersion: `apiextensions.k8s.io/${version}`, request: { uid, desiredAPIVersion: apiVersion, objects: other } }),
      }));
      if (!response.ok) return fail(`the server responded with status ${response.status}`);
      review = (await response.json()) as typeof review;
    } catch (e) {
      return fail(`Post "${url}?timeout=30s": ${e instanceof Error ? e.message : "no answer"}`);
    }
    const { response } = review;
    if (response === undefined) return fail("no response provided");
    if (response.uid !== uid) return fail(`invalid response uid: expected ${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? "")}`);
    if (response.result?.status !== "Success") return fail(response.result?.message ?? "response.result.status was '', not 'Success'");
    const converted = response.convertedObjects ?? [];
    if (converted.length !== other.length) return fail(`expected ${other.length} converted objects, got ${converted.length}`);
    let at = 0;
    return objects.map((o) => (o.apiVersion === apiVersion ? o : restored(converted[at++]!, o, apiVersion, fail)));
  };
}

/** Of the metadata a webhook may change labels and annotations only. Follows restoreObjectMeta and validateConvertedObject. */
function restored(converted: KubeObject, original: KubeObject, apiVersion: string, fail: (why: string) => never): KubeObject {
  if (converted.apiVersion !== apiVersion) fail(`returned invalid converted object at index 0: invalid groupVersion (expected ${apiVersion}, received ${converted.apiVersion})`);
  if (converted.kind !== original.kind) fail(`returned invalid converted object at index 0: invalid kind (expected ${original.kind}, received ${converted.kind})`);
  if (converted.metadata === undefined || converted.metadata === null) fail("returned invalid converted object at index 0: missing metadata");
  const { labels, annotations } = converted.metadata;
  const { labels: _labels, annotations: _annotations, ...rest } = original.metadata;
  return { ...converted, metadata: { ...rest, ...(labels === undefined ? {} : { labels }), ...(annotations === undefined ? {} : { annotations }) } };
}

export interface ViewOptions {
  readonly storage: Storage<KubeObject>;
  readonly apiVersion: string;
  readonly storedVersion: string;
  readonly convert: Convert | undefined;
  /** Prunes and defaults a stored object, in place; prunes a converted one. */
  shapeStored(object: KubeObject): void;
  shape(object: KubeObject): void;
}

/** The store as a version shows it. */
export function createView({ storage, apiVersion, storedVersion, convert, shapeStored, shape }: ViewOptions): Storage<KubeObject> {
  const shown = new WeakMap<KubeObject, KubeObject>();

  const copied = ({ metadata, ...content }: KubeObject): KubeObject => ({ ...deepCopy(content), metadata });
  const stored = (value: KubeObject): KubeObject => {
    const copy = copied(value);
    shapeStored(copy);
    return copy;
  };
  const show = (value: KubeObject, converted: KubeObject): KubeObject => {
    const copy = { ...copied(converted), apiVersion };
    if (apiVersion !== storedVersion) shape(copy);
    const out = deepEqual(copy, value) ? value : deepFreeze(copy);
    shown.set(value, out);
    return out;
  };
  const load = async (values: readonly KubeObject[]): Promise<readonly KubeObject[]> => {
    const missing = values.filter((v) => !shown.has(v));
    if (missing.length > 0) {
      const complete = missing.map(stored);
      const converted = convert === undefined ? complete : await convert(complete, apiVersion);
      for (const [i, value] of missing.entries()) show(value, converted[i]!);
    }
    return values.map((v) => shown.get(v)!);
  };
  const loadOne = async (kv: KeyValue<KubeObject> | undefined): Promise<KeyValue<KubeObject> | undefined> => (kv === undefined ? undefined : { ...kv, value: (await load([kv.value]))[0]! });

  return {
    revision: () => storage.revision(),
    compact: (revision) => storage.compact(revision),
    get: async (key) => loadOne(await storage.get(key)),
    async range(prefix, options) {
      const result = await storage.range(prefix, options);
      const values = await load(result.items.map((kv) => kv.value));
      return { ...result, items: result.items.map((kv, i) => ({ ...kv, value: values[i]! })) };
    },
    async txn(compare, success) {
      const ops: Op<KubeObject>[] = [];
      const values: KubeObject[] = [];
      for (const op of success) {
        if (op.type === "put") {
          const [put] = convert === undefined ? [op.value.apiVersion === storedVersion ? op.value : { ...op.value, apiVersion: storedVersion }] : await convert([op.value], storedVersion);
          values.push(op.value);
          ops.push({ ...op, value: put! });
        } else ops.push(op);
      }
      const result = await storage.txn(compare, ops);
      if (!result.succeeded) return { ...result, current: await Promise.all(result.current.map(loadOne)) };
      const written = result.written.map((kv, i) => {
        const value = values[i]!;
        // The store wrote its revision into the stored form, which may be another object.
        if (value !== kv.value && value.metadata !== kv.value.metadata) value.metadata = { ...value.metadata, resourceVersion: kv.value.metadata.resourceVersion };
        const frozen = deepFreeze(value);
        if (apiVersion === storedVersion) shown.set(kv.value, frozen);
        return { ...kv, value: frozen };
      });
      return { ...result, written };
    },
    watch(prefix, afterRevision, sink) {
      if (convert === undefined) {
        const now = (kv: KeyValue<KubeObject> | undefined): KeyValue<KubeObject> | undefined => (kv === undefined ? undefined : { ...kv, value: shown.get(kv.value) ?? show(kv.value, stored(kv.value)) });
        return storage.watch(prefix, afterRevision, { event: (event) => sink.event(eventOf(event, now(event.kv), now(event.previous))) });
      }
      // Conversions take time; events stay in their order.
      let last: Promise<void> = Promise.resolve();
      return storage.watch(prefix, afterRevision, {
        event(event) {
          last = last.then(async () => sink.event(eventOf(event, await loadOne(event.kv), await loadOne(event.previous)))).catch(() => {});
        },
      });
    },
  };
}

function eventOf(event: StorageEvent<KubeObject>, kv: KeyValue<KubeObject> | undefined, previous: KeyValue<KubeObject> | undefined): StorageEvent<KubeObject> {
  const { type, key, revision } = event;
  return { type, key, revision, ...(kv === undefined ? {} : { kv }), ...(previous === undefined ? {} : { previous }) };
}
