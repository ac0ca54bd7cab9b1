// Even intervals for what comes unevenly: each as long as nine of ten of the last frames took.

const REMEMBERED = 30;
const SHORTEST = 1000 / 30; // ms

export class Pace {
  #took = [];
  #due = -Infinity;

  // For a frame that is there at the time `now` after `took` ms: how many ms to wait until it is shown.
  wait(now, took) {
    this.#took = [...this.#took, took].slice(-REMEMBERED);
    const ordered = [...this.#took].sort((a, b) => a - b);
    this.interval = Math.max(SHORTEST, ordered[Math.ceil(0.9 * ordered.length) - 1]);
    this.#due = Math.max(now, this.#due + this.interval);
    return this.#due - now;
  }
}
