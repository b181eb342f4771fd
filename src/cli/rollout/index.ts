/** `rollout`: an update's course, for people. */
import { group } from "../command.ts";
import { history } from "./history.ts";
import { pause, resume } from "./pause.ts";
import { restart } from "./restart.ts";
import { status } from "./status.ts";
import { undo } from "./undo.ts";

export const rollout = group("Manage the rollout of workloads", { history, pause, restart, resume, status, undo });
