/**
 * Every short history: up to three commits on a fresh store, each of a few shapes, and for the last one every disk that
 * a power loss at any step could leave, blocks being written whole. What long random runs miss is found here.
 */
import type { CommitPause } from "../recorder/commit-job.ts";
import { type Engine, promised } from "./engine.ts";
import { examineImage } from "./examine.ts";
import { type Change, changed, STATE_KEY } from "./history.ts";
import { Publications, Scene } from "./scene.ts";
import { apply } from "./workload.ts";

/** One commit, in a word. */
export const SHAPES = ["put", "run", "delete", "clear"] as const;
export type Shape = (typeof SHAPES)[number];

/** The pauses between which what is on the disk can differ. */
const PAUSES: readonly CommitPause[] = [
  "commit: checksums stored",
  "commit: flush 1 begun",
  "commit: flushed 1",
  "commit: first copy written",
  "commit: flush 2 begun",
  "commit: flushed 2",
  "commit: published",
];

/** Where there would be more images than that, as many are chosen at random. */
const IMAGES_MAX = 160;

/** Every sequence of one to three shapes. */
export function histories(): Shape[][] {
  let longest: Shape[][] = [[]];
  const all: Shape[][] = [];
  for (let length = 1; length <= 3; length++) {
    longest = longest.flatMap((history) => SHAPES.map((shape) => [...history, shape]));
    all.push(...longest);
  }
  return all;
}

function changesOf(shape: Shape, index: number): Change[] {
  switch (shape) {
    case "put":
      return [{ kind: "put", key: `key ${index}`, value: `value ${index}` }];
    case "run":
      return [{ kind: "put", key: "run", value: `${index} `.repeat(3500) }];
    case "delete":
      return [{ kind: "delete", key: `key ${index - 1}` }];
    case "clear":
      return [{ kind: "clear" }];
  }
}

/** Returns how many images were opened. */
export function exhaust(engine: Engine, history: readonly Shape[], seed: number): number {
  const scene = new Scene(engine, seed);
  const { process, store } = scene.actor("writer");
  const publications = new Publications(scene.history);
  let images = 0;
  const crash = (): void => {
    const point = scene.machine.crashPoint();
    if (point.imageCount > IMAGES_MAX) {
      for (let i = 0; i < IMAGES_MAX; i++) examineImage(engine, point.image(scene.dice.seed()), scene.history);
      images += IMAGES_MAX;
    } else {
      for (const image of point.imagesExhaustive(IMAGES_MAX)) {
        examineImage(engine, image, scene.history);
        images++;
      }
    }
  };
  history.forEach((shape, i) => {
    const isLast = i === history.length - 1;
    process.hook = (step) => publications.at(step.startsWith("write: ") ? step : "commit: unlocked");
    process.onPause = (pause) => {
      publications.at(pause);
      if (isLast && PAUSES.includes(pause)) crash();
    };
    const { latest } = scene.history;
    const index = scene.history.begin((next) => changed(latest, changesOf(shape, next), next));
    const changes: Change[] = [...changesOf(shape, index), { kind: "put", key: STATE_KEY, value: String(index) }];
    promised("a commit", () => store.transactionSync((transaction) => apply(transaction, changes)));
  });
  scene.end({ process, store });
  return images;
}
