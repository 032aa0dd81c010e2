/** The loopback plugin: brings `lo` up. Follows containernetworking/plugins plugins/main/loopback. */
import { CNI_ERROR, CniError, type CniPlugin } from "../types.ts";

export const loopback: CniPlugin = {
  type: "loopback",

  add(conf, { netns, netnsPath }) {
    netns!.setLink("lo", { up: true });
    const cniVersion = conf.cniVersion ?? "1.0.0";
    if (conf.prevResult !== undefined) return { ...conf.prevResult, cniVersion };
    // The kernel gives 127.0.0.1 to a loopback device that comes up; a real `lo` has ::1 too, where IPv6 is on.
    const ips = netns!.addresses().filter(({ dev }) => dev === "lo");
    return {
      cniVersion,
      interfaces: [{ mac: "00:00:00:00:00:00", name: "lo", sandbox: netnsPath }],
      ips: ips.map(({ cidr }) => ({ address: cidr, interface: 0 })),
    };
  },

  check(_conf, { netns }) {
    if (netns?.link("lo")?.up !== true) throw new CniError(CNI_ERROR.internal, "loopback interface is down");
  },

  del(_conf, { netns }) {
    if (netns?.link("lo") !== undefined) netns.setLink("lo", { up: false });
  },
};
