export { FanOutAdapter, type FanOutOptions, fanOut } from './adapter.ts';
