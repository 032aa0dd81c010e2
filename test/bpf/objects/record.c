/* Runs cases of objects in this machine's kernel through libbpf: lines in, lines out. See record.mjs. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned char *unhex(const char *text, size_t *length)
{
	size_t n = strcmp(text, "-") ? strlen(text) / 2 : 0;
	unsigned char *bytes = calloc(1, n + 8);

	for (size_t i = 0; i < n; i++)
		sscanf(text + 2 * i, "%2hhx", bytes + i);
	*length = n;
	return bytes;
}

static void hex(const unsigned char *bytes, size_t length)
{
	if (!length)
		printf("-");
	for (size_t i = 0; i < length; i++)
		printf("%02x", bytes[i]);
}

static int cpus;

static int per_cpu(struct bpf_map *map)
{
	int type = bpf_map__type(map);

	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static size_t value_bytes(struct bpf_map *map)
{
	size_t size = bpf_map__value_size(map);

	return per_cpu(map) ? (size_t)cpus * ((size + 7) & ~7ul) : size;
}

static struct bpf_map *find(struct bpf_object *object, const char *name)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		const char *own = bpf_map__name(map);
		const char *dot = strchr(own, '.');

		if (!strcmp(own, name) || (name[0] == '.' && dot && !strncmp(dot, name, 12)))
			return map;
	}
	fprintf(stderr, "no map %s\n", name);
	exit(1);
}

static int record(void *context, void *data, size_t length)
{
	(void)context;
	printf(" ");
	hex(data, length);
	return 0;
}

static void dump(struct bpf_map *map)
{
	int fd = bpf_map__fd(map), type = bpf_map__type(map);
	size_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);
	unsigned char *key = calloc(1, key_size + 8), *value = calloc(1, value_bytes(map) + 8), *last = NULL;

	if (type == BPF_MAP_TYPE_QUEUE || type == BPF_MAP_TYPE_STACK) {
		while (!bpf_map_lookup_and_delete_elem(fd, NULL, value)) {
			printf(" -:");
			hex(value, value_size);
		}
		return;
	}
	while (!bpf_map_get_next_key(fd, last, key)) {
		if (!bpf_map_lookup_elem(fd, key, value)) {
			printf(" ");
			hex(key, key_size);
			printf(":");
			hex(value, value_size);
		}
		if (!last)
			last = calloc(1, key_size + 8);
		memcpy(last, key, key_size);
	}
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

int main(void)
{
	static char line[1 << 20], a[1 << 18], b[1 << 18], c[1 << 18];
	struct bpf_object *object = NULL;
	unsigned repeat;

	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	cpus = libbpf_num_possible_cpus();
	while (fgets(line, sizeof line, stdin)) {
		size_t n, m;

		if (sscanf(line, "open %s", a) == 1) {
			object = bpf_object__open_file(a, NULL);
			if (!object)
				return 1;
		} else if (sscanf(line, "global %s %u %s", a, &repeat, b) == 3) {
			unsigned char *bytes = unhex(b, &n), *data = (void *)bpf_map__initial_value(find(object, a), &m);

			memcpy(data + repeat, bytes, n);
		} else if (!strncmp(line, "load", 4)) {
			if (bpf_object__load(object))
				return 1;
		} else if (sscanf(line, "setprog %s %s %s", a, b, c) == 3 || sscanf(line, "setinner %s %s %s", a, b, c) == 3) {
			int fd = line[3] == 'p' ? bpf_program__fd(bpf_object__find_program_by_name(object, c)) : bpf_map__fd(find(object, c));

			if (bpf_map_update_elem(bpf_map__fd(find(object, a)), unhex(b, &n), &fd, 0))
				return perror(a), 1;
		} else if (sscanf(line, "set %s %s %s", a, b, c) == 3) {
			struct bpf_map *map = find(object, a);
			unsigned char *key = unhex(b, &n), *one = unhex(c, &m), *value = calloc(1, value_bytes(map) + 8);

			for (size_t at = 0; at < value_bytes(map); at += (bpf_map__value_size(map) + 7) & ~7ul)
				memcpy(value + at, one, m);
			if (bpf_map_update_elem(bpf_map__fd(map), n ? key : NULL, value, 0))
				return perror(a), 1;
		} else if (sscanf(line, "run %s %s %s %u", a, b, c, &repeat) == 4) {
			struct bpf_program *program = bpf_object__find_program_by_name(object, a);
			static unsigned char data_out[1 << 16], ctx_out[4096];
			LIBBPF_OPTS(bpf_test_run_opts, options, .repeat = repeat);

			options.data_in = unhex(b, &n);
			options.data_size_in = n;
			options.ctx_in = unhex(c, &m);
			options.ctx_size_in = m;
			if (!n)
				options.data_in = NULL;
			if (!m)
				options.ctx_in = NULL;
			if (n) {
				options.data_out = data_out;
				options.data_size_out = sizeof data_out;
			}
			if (m == sizeof(struct __sk_buff)) {
				options.ctx_out = ctx_out;
				options.ctx_size_out = sizeof ctx_out;
			}
			if (bpf_prog_test_run_opts(bpf_program__fd(program), &options)) {
				printf("run error %d\n", errno);
				continue;
			}
			printf("run %u ", options.retval);
			hex(data_out, n ? options.data_size_out : 0);
			printf(" ");
			hex(ctx_out, options.ctx_out ? options.ctx_size_out : 0);
			printf("\n");
		} else if (sscanf(line, "sleep %u", &repeat) == 1) {
			usleep(repeat * 1000);
		} else if (sscanf(line, "dump %s", a) == 1) {
			printf("map %s", a);
			dump(find(object, a));
			printf("\n");
		} else if (sscanf(line, "ring %s", a) == 1) {
			struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(find(object, a)), record, NULL, NULL);

			printf("ring %s", a);
			ring_buffer__consume(ring);
			printf("\n");
		}
		fflush(stdout);
	}
	return 0;
}
