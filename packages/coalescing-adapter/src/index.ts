export { CoalescingAdapter, type CoalescingAdapterOptions, createAdapter } from './adapter.ts';
