/**
 * A map that stores its first entry inline: most maps have one entry, and an empty `Map` takes four times as much memory.
 * Iterates in insertion order.
 */
export class SmallMap<Key, Value> {
  #first: { key: Key; value: Value } | undefined;
  #all: Map<Key, Value> | undefined;

  get size(): number {
    return this.#all?.size ?? (this.#first ? 1 : 0);
  }

  get(key: Key): Value | undefined {
    if (this.#all) return this.#all.get(key);
    return this.#first?.key === key ? this.#first.value : undefined;
  }

  has(key: Key): boolean {
    return this.#all?.has(key) ?? (this.#first !== undefined && this.#first.key === key);
  }

  set(key: Key, value: Value): void {
    if (this.#all) this.#all.set(key, value);
    else if (!this.#first || this.#first.key === key) this.#first = { key, value };
    else {
      this.#all = new Map([...this, [key, value]]);
      this.#first = undefined;
    }
  }

  delete(key: Key): boolean {
    if (this.#all) return this.#all.delete(key);
    if (!this.has(key)) return false;
    this.#first = undefined;
    return true;
  }

  *[Symbol.iterator](): Iterator<[Key, Value]> {
    if (this.#all) yield* this.#all;
    else if (this.#first) yield [this.#first.key, this.#first.value];
  }
}
