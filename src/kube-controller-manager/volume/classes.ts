/** The default StorageClass. Follows pkg/volume/util/storageclass.go (GetDefaultClass). */
import type { StorageClass } from "../../api/types.generated.ts";

const IS_DEFAULT = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/** The newest of those that call themselves the default, then the first by name. */
export function newestDefaultClass(classes: readonly StorageClass[]): StorageClass | undefined {
  const age = ({ metadata }: StorageClass): string => metadata.creationTimestamp ?? "";
  return classes.filter(({ metadata }) => IS_DEFAULT.some((name) => metadata.annotations?.[name] === "true"))
    .sort((a, b) => (age(a) > age(b) || (age(a) === age(b) && a.metadata.name < b.metadata.name) ? -1 : 1))[0];
}
