/** The conformance tests on the memory store. */
import { testStore } from '@engawa/store-conformance';
import { test } from 'vitest';
import { openMemory } from '#store/memory/memory-store.js';

testStore({ open: async (options) => openMemory(options), test });
