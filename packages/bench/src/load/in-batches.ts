/** Connections that are made, or join, at the same time. */
const AT_ONCE = 50;

export async function inBatches<Item, Result>(items: Item[], each: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(each))));
  return results;
}
