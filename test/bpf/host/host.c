// The bpf(2) of this machine's kernel, for a caller that has none: requests on stdin, answers on stdout, both counted in bytes.
// It knows nothing of programs or maps: host.ts builds the attributes. A request is a list of operations that run in order; pointers
// and file descriptors inside of attributes and buffers are given as fixups.
//
//   host [bpf]    "bpf": without CAP_PERFMON, CAP_SYS_ADMIN and all others but CAP_BPF and CAP_NET_ADMIN
//
// All numbers little endian. Request: u32 bytes that follow, u32 operations, then each:
//   u32 kind, u32 argument, u32 bytes of attr, u32 buffers, u32 fixups, attr, buffers, fixups
//     buffer: u32 size, u32 bytes given (the rest is zero), u32 flags (1 = answer it, 2 = only up to its first zero byte), bytes
//     fixup:  u32 where (a buffer, or ~0 = attr), u32 offset, u32 kind (0 pointer to buffer N, 1 result of operation N, u32), u32 N
// Answer: u32 bytes that follow, then for each operation: i64 result, u32 errno, attr as it is now, then for each answered buffer
//   u32 size, bytes.
// Kinds: 0 bpf(argument, attr)   1 close(attr: i32 fd)   2 mmap(attr: i32 fd, u32 prot, u64 offset, u64 length) -> handle
//   3 read (attr: u32 handle, u32 unused, u64 offset) into buffer 0   4 write buffer 0 there   5 munmap(attr: u32 handle)
//   6 socketpair of datagrams, setsockopt(SOL_SOCKET, argument, buffer 0) on one end, send buffer 1, receive into buffer 2 -> bytes
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAPPINGS 256
static struct { uint8_t *at; size_t length; } mappings[MAPPINGS];

static void die(const char *why) {
  fprintf(stderr, "host: %s: %s\n", why, strerror(errno));
  exit(1);
}

static int read_all(uint8_t *into, size_t length) {
  while (length > 0) {
    ssize_t n = read(0, into, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    into += n, length -= n;
  }
  return 1;
}

static void write_all(const uint8_t *from, size_t length) {
  while (length > 0) {
    ssize_t n = write(1, from, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) exit(0);
    from += n, length -= n;
  }
}

static uint8_t *out;
static size_t out_length, out_room;

static void put(const void *from, size_t length) {
  if (out_length + length > out_room) {
    out_room = (out_length + length) * 2;
    if ((out = realloc(out, out_room)) == NULL) die("memory");
  }
  memcpy(out + out_length, from, length);
  out_length += length;
}

static uint32_t take(const uint8_t **at) {
  uint32_t value;
  memcpy(&value, *at, 4);
  *at += 4;
  return value;
}

static long filter(uint32_t option, uint8_t **buffers, const uint32_t *sizes) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) < 0) return -1;
  long result = setsockopt(pair[0], SOL_SOCKET, option, buffers[0], sizes[0]);
  // Refused by the filter: EPERM from send, or (SO_ATTACH_BPF the same) nothing to receive.
  if (result == 0) result = send(pair[1], buffers[1], sizes[1], 0) < 0 ? 0 : recv(pair[0], buffers[2], sizes[2], 0);
  if (result < 0 && errno == EAGAIN) result = 0;
  int error = errno;
  close(pair[0]), close(pair[1]);
  errno = error;
  return result;
}

static long mapped(uint32_t kind, const uint8_t *attr, uint8_t *buffer, uint32_t size) {
  uint32_t handle;
  uint64_t offset;
  memcpy(&handle, attr, 4);
  memcpy(&offset, attr + 8, 8);
  if (handle >= MAPPINGS || offset > mappings[handle].length || size > mappings[handle].length - offset) return errno = EFAULT, -1;
  if (kind == 3) memcpy(buffer, mappings[handle].at + offset, size);
  else memcpy(mappings[handle].at + offset, buffer, size);
  __sync_synchronize();
  return 0;
}

static long map(const uint8_t *attr) {
  int32_t fd;
  uint32_t prot;
  uint64_t offset, length;
  memcpy(&fd, attr, 4), memcpy(&prot, attr + 4, 4), memcpy(&offset, attr + 8, 8), memcpy(&length, attr + 16, 8);
  long handle = 0;
  while (handle < MAPPINGS && mappings[handle].at != NULL) handle++;
  if (handle == MAPPINGS) return errno = ENFILE, -1;
  void *at = mmap(NULL, length, prot, MAP_SHARED, fd, offset);
  if (at == MAP_FAILED) return -1;
  mappings[handle].at = at, mappings[handle].length = length;
  return handle;
}

static void answer(const uint8_t *at) {
  uint32_t operations = take(&at);
  int64_t *results = calloc(operations + 1, sizeof *results);
  out_length = 4;
  for (uint32_t op = 0; op < operations; op++) {
    uint32_t kind = take(&at), argument = take(&at), attr_size = take(&at), buffer_count = take(&at), fixups = take(&at);
    // The kernel wants zeros up to the size it is told; 64 bytes more for what the C side reads.
    uint8_t *attr = calloc(1, attr_size + 64);
    memcpy(attr, at, attr_size);
    at += attr_size;
    uint8_t **buffers = calloc(buffer_count + 3, sizeof *buffers);
    uint32_t *sizes = calloc(buffer_count + 3, 4), *flags = calloc(buffer_count + 3, 4);
    for (uint32_t n = 0; n < buffer_count; n++) {
      uint32_t given;
      sizes[n] = take(&at), given = take(&at), flags[n] = take(&at);
      buffers[n] = calloc(1, sizes[n] + 1);
      if (buffers[n] == NULL) die("memory");
      memcpy(buffers[n], at, given);
      at += given;
    }
    for (uint32_t n = 0; n < fixups; n++) {
      uint32_t where = take(&at), offset = take(&at), what = take(&at), index = take(&at);
      uint8_t *target = (where == ~0u ? attr : buffers[where]) + offset;
      uint64_t pointer = (uint64_t)(uintptr_t)buffers[what == 0 ? index : 0];
      uint32_t number = what == 1 ? (uint32_t)results[index] : 0;
      if (what == 0) memcpy(target, &pointer, 8);
      else memcpy(target, &number, 4);
    }
    errno = 0;
    long result;
    if (kind == 0) result = syscall(SYS_bpf, argument, attr, attr_size);
    else if (kind == 1) result = close(*(int32_t *)attr);
    else if (kind == 2) result = map(attr);
    else if (kind == 3 || kind == 4) result = mapped(kind, attr, buffers[0], sizes[0]);
    else if (kind == 5) {
      uint32_t handle = *(uint32_t *)attr % MAPPINGS;
      result = munmap(mappings[handle].at, mappings[handle].length);
      mappings[handle].at = NULL;
    } else result = filter(argument, buffers, sizes);
    results[op] = result;
    int64_t wide = result;
    uint32_t error = result < 0 ? errno : 0;
    put(&wide, 8), put(&error, 4), put(attr, attr_size);
    for (uint32_t n = 0; n < buffer_count; n++) {
      if (flags[n] & 1) {
        uint32_t size = flags[n] & 2 ? strnlen((char *)buffers[n], sizes[n]) : sizes[n];
        put(&size, 4), put(buffers[n], size);
      }
      free(buffers[n]);
    }
    free(attr), free(buffers), free(sizes), free(flags);
  }
  free(results);
  uint32_t length = out_length - 4;
  memcpy(out, &length, 4);
  write_all(out, out_length);
}

static void drop_capabilities(void) {
  struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
  struct __user_cap_data_struct data[2] = {{0}};
  const int keep[] = { 39 /* CAP_BPF */, CAP_NET_ADMIN };
  for (int n = 0; n < 2; n++) data[keep[n] / 32].effective |= 1u << keep[n] % 32, data[keep[n] / 32].permitted |= 1u << keep[n] % 32;
  if (syscall(SYS_capset, &header, data) < 0) die("capset");
}

int main(int argc, char **argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
  setrlimit(RLIMIT_MEMLOCK, &unlimited);
  // Values of per-CPU maps and bpf_get_smp_processor_id are those of CPU 0.
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(0, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
  if (argc > 1 && strcmp(argv[1], "bpf") == 0) drop_capabilities();
  put("\0\0\0\0", 4);
  uint32_t length;
  uint8_t *request = NULL;
  size_t room = 0;
  while (read_all((uint8_t *)&length, 4)) {
    if (length > room && (request = realloc(request, room = length)) == NULL) die("memory");
    if (!read_all(request, length)) break;
    answer(request);
  }
  return 0;
}
