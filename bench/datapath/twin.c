/* The loop at the heart of kube-proxy's work in plain C: parse a frame, check its checksums, find its connection by hash, rewrite the
 * destination (DNAT) and lower the TTL with both checksums patched, put the next hop's MAC addresses in front, count. What a packet
 * costs at the least; no rules, no routes, no timers, no tracing.
 * twin FLOWS ROUNDS RUNS: prints ns of CPU per packet, one line per run. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>

#define FRAME 60
#define BATCH 64

struct tuple { uint32_t src, dst; uint16_t sport, dport; uint8_t zone[2], proto, family; };
struct flow {
	struct flow *next;
	struct tuple orig, reply;
	uint64_t timeout, packets, bytes;
	uint32_t status, mark;
};
static struct flow **table;
static uint32_t mask;

static uint32_t hash(const struct tuple *t)
{
	uint64_t a, b;
	memcpy(&a, t, 8); memcpy(&b, (const char *)t + 8, 8);
	uint64_t h = a * 0x9e3779b97f4a7c15ull ^ (b * 0xc2b2ae3d27d4eb4full << 31 | b * 0xc2b2ae3d27d4eb4full >> 33);
	return (uint32_t)((h ^ h >> 32) * 0x9fb21c651e98df25ull >> 32);
}
static uint16_t fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16); s = (s & 0xffff) + (s >> 16); s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}
static uint64_t sum(const uint8_t *p, unsigned n)
{
	uint64_t s = 0; uint32_t w; uint16_t h;
	for (; n >= 4; n -= 4, p += 4) { memcpy(&w, p, 4); s += w; }
	if (n & 2) { memcpy(&h, p, 2); s += h; p += 2; }
	if (n & 1) s += *p;
	return s;
}
static void patch32(uint8_t *field, uint32_t before, uint32_t after)
{
	uint16_t c; memcpy(&c, field, 2);
	c = (uint16_t)~fold((uint64_t)(uint16_t)~c + (uint32_t)~before + after);
	memcpy(field, &c, 2);
}

static uint64_t now_ns, dropped;
static int packet(uint8_t *f, unsigned length)
{
	uint8_t *ip = f + 14;
	if (length < 34 || f[12] != 8 || f[13] != 0 || ip[0] != 0x45 || fold(sum(ip, 20)) != 0xffff) return 0;
	unsigned total = ip[2] << 8 | ip[3];
	if (total < 28 || total > length - 14 || (ip[6] & 0x3f) || ip[7] || ip[9] != 17 || ip[8] < 2) return 0;
	uint32_t src, dst; memcpy(&src, ip + 12, 4); memcpy(&dst, ip + 16, 4);
	uint8_t *udp = ip + 20; unsigned ulen = udp[4] << 8 | udp[5];
	if (ulen != total - 20) return 0;
	if (fold((uint64_t)src + dst + (17 << 8) + htons(ulen) + sum(udp, ulen)) != 0xffff) return 0;
	struct tuple t = { .src = src, .dst = dst, .proto = 17 };
	memcpy(&t.sport, udp, 4);
	struct flow *c = table[hash(&t) & mask];
	while (c && memcmp(&c->orig, &t, sizeof t)) c = c->next;
	if (!c || c->timeout < now_ns) return 0;
	c->timeout = now_ns + 600000000000ull; c->packets++; c->bytes += total;
	patch32(ip + 10, dst, c->reply.src); patch32(udp + 6, dst, c->reply.src);
	memcpy(ip + 16, &c->reply.src, 4);
	uint16_t old, port = c->reply.sport; memcpy(&old, udp + 2, 2);
	patch32(udp + 6, old, port); memcpy(udp + 2, &port, 2);
	uint16_t ttl; memcpy(&ttl, ip + 8, 2); uint16_t lower = (uint16_t)(ttl - 1);
	patch32(ip + 10, ttl, lower); memcpy(ip + 8, &lower, 2);
	memcpy(f, "\x02\0\0\0\x02\xee\x02\0\0\0\x02\x01", 12);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned flows = argc > 1 ? atoi(argv[1]) : 4096, rounds = argc > 2 ? atoi(argv[2]) : 200, runs = argc > 3 ? atoi(argv[3]) : 5;
	uint8_t *frames = calloc(flows, FRAME), (*work)[FRAME] = malloc(BATCH * FRAME);
	struct flow *pool = calloc(flows, sizeof *pool);
	for (mask = 1; mask < flows * 2; mask <<= 1) ;
	table = calloc(mask--, sizeof *table);
	uint32_t dst = inet_addr("10.96.4.233"), backend = inet_addr("10.244.2.7");
	for (unsigned i = 0; i < flows; i++) {
		uint8_t *f = frames + (size_t)i * FRAME, *ip = f + 14, *udp = ip + 20;
		uint32_t src = htonl(0x0af44000 + (i >> 14)); uint16_t sport = htons(1024 + (i & 0x3fff)), dport = htons(80), c;
		f[12] = 8; ip[0] = 0x45; ip[3] = 46; ip[8] = 63; ip[9] = 17; udp[5] = 26;
		memcpy(ip + 12, &src, 4); memcpy(ip + 16, &dst, 4); memcpy(udp, &sport, 2); memcpy(udp + 2, &dport, 2);
		c = (uint16_t)~fold(sum(ip, 20)); memcpy(ip + 10, &c, 2);
		c = (uint16_t)~fold((uint64_t)src + dst + (17 << 8) + htons(26) + sum(udp, 26)); memcpy(udp + 6, &c, 2);
		struct flow *w = pool + i;
		w->orig = (struct tuple){ .src = src, .dst = dst, .sport = sport, .dport = dport, .proto = 17 };
		w->reply = (struct tuple){ .src = backend, .dst = src, .sport = htons(10999), .dport = sport, .proto = 17 };
		w->timeout = ~0ull;
		struct flow **head = &table[hash(&w->orig) & mask]; w->next = *head; *head = w;
	}
	for (unsigned run = 0; run <= runs; run++) {
		struct timespec a, b;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
		for (unsigned round = 0; round < rounds; round++)
			for (unsigned i = 0; i < flows; i += BATCH) {
				memcpy(work, frames + (size_t)i * FRAME, BATCH * FRAME);
				for (unsigned n = 0; n < BATCH; n++, now_ns += 100) dropped += !packet(work[n], FRAME);
			}
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
		if (dropped) { fprintf(stderr, "packets were lost\n"); return 1; }
		if (run) printf("%.2f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / ((double)rounds * flows));
	}
	return 0;
}
