FROM node:24-bookworm-slim AS manifests
WORKDIR /engawa
COPY package.json package-lock.json ./
COPY packages/protocol/package.json packages/protocol/
COPY packages/coalescing-adapter/package.json packages/coalescing-adapter/
COPY packages/client/package.json packages/client/
COPY packages/chat-view/package.json packages/chat-view/
COPY packages/server/package.json packages/server/
COPY packages/store-conformance/package.json packages/store-conformance/
COPY packages/terminal/package.json packages/terminal/
COPY packages/engawa/package.json packages/engawa/
COPY packages/testkit/package.json packages/testkit/
COPY packages/bench/package.json packages/bench/

FROM manifests AS build
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --omit=dev
COPY tsconfig*.json ./
COPY packages packages
RUN npx tsc -b packages/engawa

# Node 24 has SQLite built in: what is optional on Node 20 is not needed here.
FROM manifests AS production
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --workspace engawa --omit=dev --omit=optional

FROM node:24-bookworm-slim
ENV NODE_ENV=production ENGAWA_DATA_DIR=/data
WORKDIR /engawa
COPY --from=production /engawa/node_modules node_modules
COPY --from=build /engawa/packages/protocol packages/protocol
COPY --from=build /engawa/packages/coalescing-adapter packages/coalescing-adapter
COPY --from=build /engawa/packages/client packages/client
COPY --from=build /engawa/packages/chat-view packages/chat-view
COPY --from=build /engawa/packages/server packages/server
COPY --from=build /engawa/packages/terminal packages/terminal
COPY --from=build /engawa/packages/engawa packages/engawa
COPY deploy/entrypoint.sh ./
RUN mkdir /data && chown node:node /data && ln -s /engawa/packages/engawa/bin/engawa.js /usr/local/bin/engawa
# The user node, as a number, by which Kubernetes knows that it is not root. With 0 the server runs as node, too: see entrypoint.sh.
ARG RUN_AS=1000
USER $RUN_AS
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
# Is it alive? Who is ended for not being ready would never wait for a Redis that is late.
HEALTHCHECK --interval=10s --timeout=5s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/engawa/entrypoint.sh"]
CMD ["serve"]
