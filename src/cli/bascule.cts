#!/usr/bin/env node
// The program's first file. CommonJS, because the loader of ES modules reads files through libuv's thread pool and thereby fixes its size:
// the journal, look-ups and file reads share that pool, and four threads are too few for them.
process.env.UV_THREADPOOL_SIZE = String(Math.max(8, Number(process.env.UV_THREADPOOL_SIZE) || 0))

void import('./run.ts').then(({ run }) => run(process.argv.slice(2)))
