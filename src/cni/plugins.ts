/** What lies in a node's /opt/cni/bin, and how a network configuration list is run (libcni api.go). */
import { bridge } from "./bridge/bridge.ts";
import { flannel } from "./flannel/flannel.ts";
import { hostLocal } from "./host-local/host-local.ts";
import { loopback } from "./loopback/loopback.ts";
import { asCniError, findPlugin, type CniCall, type CniPlugin, type CniResult, type NetConf, type NetConfList } from "./types.ts";

/** In the box. Users' plugins are added to a copy. */
export const inBoxPlugins: ReadonlyMap<string, CniPlugin> = new Map(
  [bridge, flannel, hostLocal, loopback].map((plugin) => [plugin.type, plugin]),
);

/** The list that flannel's manifest installs, without the portmap plugin. */
export const flannelConfList: NetConfList = {
  name: "cbr0", cniVersion: "0.3.1",
  plugins: [{ type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } }],
};

/** ADD of every plugin in order, each with the result of the one before. When one fails, all that ran are undone. */
export function addNetworkList(list: NetConfList, call: CniCall): CniResult {
  let result: CniResult | undefined;
  for (let i = 0; i < list.plugins.length; i++) {
    const conf = oneConf(list, list.plugins[i]!, result);
    try {
      result = asCniError(() => findPlugin(call.plugins, conf.type!).add(conf, call));
    } catch (error) {
      for (let j = i; j >= 0; j--) {
        const undone = oneConf(list, list.plugins[j]!, result);
        try {
          call.plugins.get(undone.type!)?.del(undone, call);
        } catch {
          // The first error is the one to report.
        }
      }
      throw error;
    }
  }
  return result ?? { cniVersion: list.cniVersion };
}

/** CHECK of every plugin in order; throws the first CniError. */
export function checkNetworkList(list: NetConfList, call: CniCall, result: CniResult): void {
  for (const plugin of list.plugins) {
    const conf = oneConf(list, plugin, result);
    asCniError(() => findPlugin(call.plugins, conf.type!).check(conf, call));
  }
}

/** DEL of every plugin, last first; `result` is what ADD gave, if it is still known. */
export function delNetworkList(list: NetConfList, call: CniCall, result?: CniResult): void {
  for (const plugin of [...list.plugins].reverse()) {
    const conf = oneConf(list, plugin, result);
    asCniError(() => findPlugin(call.plugins, conf.type!).del(conf, call));
  }
}

const oneConf = (list: NetConfList, plugin: NetConf, prevResult: CniResult | undefined): NetConf => ({
  ...plugin, name: list.name, cniVersion: list.cniVersion, ...(prevResult === undefined ? {} : { prevResult }),
});
