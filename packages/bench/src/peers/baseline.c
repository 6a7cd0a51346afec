/*
 * The baseline in C: it copies the bytes of a room to its sockets, several messages in one write, over epoll. Of WebSocket it
 * implements the handshake and the length of a frame. The load masks with zeros, so that nothing has to be unmasked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_US 5000
#define MAX_SOCKETS 65536
#define MAX_ROOMS 4096
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

typedef struct { uint8_t *bytes; size_t from, length, size; } Queue;
typedef struct { int room; Queue in, out; } Client;
typedef struct { char name[64]; int *sockets; int count, size; Queue out; int64_t since; } Room;

static Client *clients[MAX_SOCKETS];
static Room rooms[MAX_ROOMS];
static int room_count, poll_fd;

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void append(Queue *queue, const void *bytes, size_t length) {
  if (queue->from > 0 && queue->from == queue->length) queue->from = queue->length = 0;
  while (queue->length + length > queue->size) queue->bytes = realloc(queue->bytes, queue->size = queue->size ? 2 * queue->size : 4096);
  memcpy(queue->bytes + queue->length, bytes, length);
  queue->length += length;
}

static void watch(int fd, uint32_t events, int op) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(poll_fd, op, fd, &event);
}

static void forget(int fd) {
  Client *client = clients[fd];
  if (!client) return;
  if (client->room >= 0) {
    Room *room = &rooms[client->room];
    for (int at = 0; at < room->count; at++)
      if (room->sockets[at] == fd) room->sockets[at--] = room->sockets[--room->count];
  }
  free(client->in.bytes);
  free(client->out.bytes);
  free(client);
  clients[fd] = NULL;
  close(fd);
}

static void tell(int fd, const uint8_t *bytes, size_t length) {
  Client *client = clients[fd];
  size_t sent = 0;
  if (client->out.from == client->out.length) {
    ssize_t wrote = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote < 0 && errno != EAGAIN) return;
    sent = wrote < 0 ? 0 : (size_t)wrote;
  }
  if (sent == length) return;
  if (client->out.from == client->out.length) watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  append(&client->out, bytes + sent, length - sent);
}

static void drain(int fd) {
  Queue *out = &clients[fd]->out;
  ssize_t wrote = send(fd, out->bytes + out->from, out->length - out->from, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (wrote > 0) out->from += (size_t)wrote;
  if (out->from == out->length) watch(fd, EPOLLIN, EPOLL_CTL_MOD);
}

/* SHA-1 of one short text, which only the handshake needs. */
static uint32_t rotate(uint32_t value, int by) { return value << by | value >> (32 - by); }

static void sha1(const char *text, uint8_t digest[20]) {
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}, w[80];
  size_t length = strlen(text), total = (length + 8) / 64 * 64 + 64;
  uint8_t padded[192] = {0};
  memcpy(padded, text, length);
  padded[length] = 0x80;
  for (int i = 0; i < 8; i++) padded[total - 1 - i] = (uint8_t)((uint64_t)length * 8 >> (8 * i));
  for (size_t block = 0; block < total; block += 64) {
    for (int i = 0; i < 16; i++)
      w[i] = (uint32_t)padded[block + 4 * i] << 24 | padded[block + 4 * i + 1] << 16 | padded[block + 4 * i + 2] << 8 | padded[block + 4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
      uint32_t next = rotate(a, 5) + f + e + k + w[i];
      e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

static void base64(const uint8_t digest[20], char out[29]) {
  static const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint8_t bytes[21] = {0};
  memcpy(bytes, digest, 20);
  for (int i = 0; i < 7; i++) {
    uint32_t triple = (uint32_t)bytes[3 * i] << 16 | bytes[3 * i + 1] << 8 | bytes[3 * i + 2];
    for (int j = 0; j < 4; j++) out[4 * i + j] = letters[triple >> (18 - 6 * j) & 63];
  }
  out[27] = '=', out[28] = 0;
}

static int room_of(const char *name) {
  for (int at = 0; at < room_count; at++)
    if (!strcmp(rooms[at].name, name)) return at;
  if (room_count == MAX_ROOMS) exit(1);
  snprintf(rooms[room_count].name, sizeof rooms[0].name, "%s", name);
  return room_count++;
}

static void enter(int fd) {
  Client *client = clients[fd];
  append(&client->in, "", 1);
  client->in.length--;
  char *head = (char *)client->in.bytes, name[64] = "", key[64] = "", joined[128], accept[29], answer[256];
  uint8_t digest[20];
  if (!strstr(head, "\r\n\r\n")) return;
  char *at = strstr(head, "room="), *at_key = strstr(head, "Sec-WebSocket-Key: ");
  if (!at || !at_key) return forget(fd);
  sscanf(at + 5, "%63s", name);
  sscanf(at_key + 19, "%63s", key);
  snprintf(joined, sizeof joined, "%s" GUID, key);
  sha1(joined, digest);
  base64(digest, accept);
  int length = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81\x01" "0", accept);
  tell(fd, (uint8_t *)answer, (size_t)length);
  client->in.length = 0;
  client->room = room_of(name);
  Room *room = &rooms[client->room];
  if (room->count == room->size) room->sockets = realloc(room->sockets, (size_t)(room->size = room->size ? 2 * room->size : 16) * sizeof(int));
  room->sockets[room->count++] = fd;
}

static void take_frames(int fd) {
  Client *client = clients[fd];
  Queue *in = &client->in;
  Room *room = &rooms[client->room];
  while (in->length - in->from >= 4) {
    uint8_t *frame = in->bytes + in->from;
    size_t is_long = (frame[1] & 0x7f) == 126, head = is_long ? 4 : 2;
    size_t payload = is_long ? (size_t)frame[2] << 8 | frame[3] : (size_t)(frame[1] & 0x7f);
    if (in->length - in->from < head + 4 + payload) break;
    uint8_t unmasked[4] = {frame[0], frame[1] & 0x7f, frame[2], frame[3]};
    if (room->out.length == 0) room->since = now_us();
    append(&room->out, unmasked, head);
    append(&room->out, frame + head + 4, payload);
    in->from += head + 4 + payload;
  }
  if (in->from == in->length) in->from = in->length = 0;
}

static void receive(int fd) {
  uint8_t bytes[65536];
  ssize_t length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) return forget(fd);
  append(&clients[fd]->in, bytes, (size_t)length);
  if (clients[fd]->room < 0) enter(fd);
  else take_frames(fd);
}

static void flush_due(void) {
  int64_t now = now_us();
  for (int at = 0; at < room_count; at++) {
    Room *room = &rooms[at];
    if (room->out.length == 0 || now - room->since < FLUSH_US) continue;
    for (int member = 0; member < room->count; member++) tell(room->sockets[member], room->out.bytes, room->out.length);
    room->out.length = 0;
  }
}

static void stop(int signal) { (void)signal; _exit(0); }

int main(void) {
  struct rlimit files = {0};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGTERM, stop);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) return 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  poll_fd = epoll_create1(0);
  watch(listener, EPOLLIN, EPOLL_CTL_ADD);
  printf("The peer is listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (struct epoll_event events[1024];;) {
    int count = epoll_wait(poll_fd, events, 1024, 1);
    for (int at = 0; at < count; at++) {
      int fd = events[at].data.fd;
      if (fd == listener) {
        int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (accepted < 0) continue;
        if (accepted >= MAX_SOCKETS) { close(accepted); continue; }
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        clients[accepted] = calloc(1, sizeof(Client));
        clients[accepted]->room = -1;
        watch(accepted, EPOLLIN, EPOLL_CTL_ADD);
        continue;
      }
      if (clients[fd] && events[at].events & EPOLLOUT) drain(fd);
      if (clients[fd] && events[at].events & ~EPOLLOUT) receive(fd);
    }
    flush_due();
  }
}
