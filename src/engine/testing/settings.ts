/** Settings for tests: what the manager runs with when nothing is said, with what a test wants otherwise. */
export { defaultSettings as testSettings } from "../../api/settings.ts";
