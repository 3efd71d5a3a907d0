/** The time as the window shows it: one tick a second, from a source that is a parameter. */
export class Clock {
  /** Unix seconds. */
  now = $state(0);
  #read: () => number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param readMillis Unix milliseconds */
  constructor(readMillis: () => number) {
    this.#read = readMillis;
    this.now = Math.floor(readMillis() / 1000);
  }

  /** Ticks on the second until told to stop. */
  start(): () => void {
    const tick = () => {
      const millis = this.#read();
      this.now = Math.floor(millis / 1000);
      this.#timer = setTimeout(tick, 1000 - (millis % 1000) + 5);
    };
    tick();
    return () => clearTimeout(this.#timer);
  }

  /** Reads the source at once. */
  sync() {
    this.now = Math.floor(this.#read() / 1000);
  }
}
