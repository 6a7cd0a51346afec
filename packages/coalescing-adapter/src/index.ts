/** The public API of the coalescing adapter. */

export { CoalescingAdapter, type CoalescingAdapterOptions, createAdapter } from './adapter.ts';
