#!/usr/bin/env bash
# busboy reports a file of exactly `limits.fileSize` bytes as cut, although it has delivered all of it.
#
# Guess:   "max file size (in bytes)" is the largest size that passes, as with @fastify/busboy and multer. Only a file with one
#          byte more is cut.
# Happens: busboy 1.6.0 emits `limit` and sets `truncated` on a whole file of exactly the limit, and `valueTruncated` on such a
#          field. Its fork @fastify/busboy does as guessed, and so does multer, which gives busboy one byte more.
# Matters: a server that states its limit, and a client that splits or checks its files by that number, refuse each other at
#          exactly that size. A server with busboy has to give it one byte more than its own limit.
# Seen:    2026-12-01, busboy 1.6.0, @fastify/busboy 3.2.6, multer 2.5.0.
. "$(dirname "$0")/common.sh"

npm_packages busboy@1.6.0 @fastify/busboy@3.2.6 multer@2.5.0

cat >"$work/run.mjs" <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import busboy from 'busboy';
import multer from 'multer';

const limits = { fileSize: 10, fieldSize: 10 };

function formOf(size) {
  const form = new FormData();
  form.append('text', 'x'.repeat(size));
  form.append('file', new Blob(['x'.repeat(size)]), 'a.txt');
  return new Response(form);
}

async function parse(size, make, end, isCut) {
  const response = formOf(size);
  const parser = make({ headers: Object.fromEntries(response.headers), limits });
  const seen = [];
  parser.on('field', (name, value, ...rest) => seen.push(`field ${isCut(rest) ? 'cut to' : 'whole,'} ${value.length}`));
  parser.on('file', (name, file) => {
    let length = 0;
    file.on('data', (bytes) => { length += bytes.length; });
    file.on('end', () => seen.push(`file ${file.truncated ? 'cut to' : 'whole,'} ${length}`));
  });
  Readable.fromWeb(response.body).pipe(parser);
  await once(parser, end);
  return seen.join('; ');
}

async function withMulter(size) {
  const take = multer({ storage: multer.memoryStorage(), limits: { fileSize: 10 } }).single('file');
  const server = createServer((request, response) => {
    take(request, response, (error) => response.end(error ? error.code : `file whole, ${request.file.size}`));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const form = await formOf(size).formData();
  const answer = await fetch(`http://127.0.0.1:${server.address().port}`, { method: 'POST', body: form });
  return answer.text();
}

for (const size of [9, 10, 11]) {
  console.log(`${size} bytes, limit 10`);
  console.log('  busboy:         ', await parse(size, busboy, 'close', ([{ valueTruncated }]) => valueTruncated));
  console.log('  @fastify/busboy:', await parse(size, (options) => new Busboy(options), 'finish', ([, isCut]) => isCut));
  console.log('  multer:         ', await withMulter(size));
}
process.exit();
JS

see node run.mjs
as_described <<'END'
9 bytes, limit 10
  busboy:          field whole, 9; file whole, 9
  @fastify/busboy: field whole, 9; file whole, 9
  multer:          file whole, 9
10 bytes, limit 10
  busboy:          field cut to 10; file cut to 10
  @fastify/busboy: field whole, 10; file whole, 10
  multer:          file whole, 10
11 bytes, limit 10
  busboy:          field cut to 10; file cut to 10
  @fastify/busboy: field cut to 10; file cut to 10
  multer:          LIMIT_FILE_SIZE
END
