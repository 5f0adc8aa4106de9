/** What the demo uses of cli-progress, which brings no types. */
declare module "cli-progress" {
  export interface BarOptions {
    readonly format: string;
    readonly barCompleteChar?: string;
    readonly barIncompleteChar?: string;
    readonly barsize?: number;
  }

  export class SingleBar {
    constructor(options: BarOptions);
    start(total: number, value: number): void;
    update(value: number): void;
    stop(): void;
  }
}
