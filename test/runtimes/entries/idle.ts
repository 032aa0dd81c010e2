/** What a runtime takes without a cluster. */
export const main = async (): Promise<string> => "idle";
