/* A delegate that stands in for an accelerator's, for tests without the hardware.
 *
 * It takes over the nodes named by its options, and writes one value into every byte of their outputs. It
 * can also fail or crash where real ones do. Only the part of TensorFlow Lite's C interface that it touches is
 * declared here (tensorflow/lite/core/c/common.h, the layout of TensorFlow Lite 2.14 and of LiteRT 2), so it
 * builds with nothing but a C compiler.
 *
 * Options:
 *   claim   custom operator to take over (default edgetpu-custom-op), "all" or "none"
 *   device  usb:N or pci:N; N is the value written (default 7); from usb:8 on there is no such device
 *   fail    "create", or the number of the run that fails, from 1
 *   crash   "create", or the number of the run that crashes, from 1
 *   hang    the number of the run that never ends, from 1
 *   gone    a path; while there is a file, the device is unplugged
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum { OK = 0, ERROR = 1 } Status;
typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  int size;
  int data[];
} IntArray;

typedef struct {
  int type;
  void *data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  Delegate *delegate;
  int buffer_handle;
  bool data_is_stale, is_variable;
  struct { int type; void *params; } quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;

typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void *custom_data;
  int custom_size;
  Delegate *delegate;
  bool might_have_side_effect;
} Node;

typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  Status (*prepare)(Context *, Node *);
  Status (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *registration_external;
  void *(*async_kernel)(Context *, Node *);
  uint64_t inplace_operator;
} Registration;

struct Context {
  size_t tensors_size;
  Status (*get_execution_plan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  void *resize_tensor;
  void (*report_error)(Context *, const char *, ...);
  void *add_tensors;
  Status (*get_node_and_registration)(Context *, int, Node **, Registration **);
  Status (*replace_nodes)(Context *, Registration, const IntArray *, Delegate *);
  /* more follows that is not used here */
};

struct Delegate {
  void *data;
  Status (*prepare)(Context *, Delegate *);
  void *copy_from_handle, *copy_to_handle, *free_handle;
  int64_t flags;
  void *opaque_builder;
};

typedef struct {
  Delegate base; /* first, so that the interpreter's pointer is ours too */
  char claim[64];
  char gone[256];
  int value, runs, fail_at, crash_at, hang_at;
} StandIn;

enum { BUILTIN_DELEGATE = 51, ALLOW_DYNAMIC_TENSORS = 1, AT_CREATION = 0, NEVER = -1 };

static bool unplugged(const StandIn *self) { return self->gone[0] && !access(self->gone, F_OK); }

static void crash(void) { raise(SIGSEGV); }

static void *node_init(Context *context, const char *buffer, size_t length) {
  (void)context, (void)length;
  return *(Delegate *const *)buffer; /* the first member of TfLiteDelegateParams */
}

static void node_free(Context *context, void *data) { (void)context, (void)data; }

static Status node_prepare(Context *context, Node *node) {
  (void)context, (void)node;
  return OK;
}

static Status node_invoke(Context *context, Node *node) {
  StandIn *self = node->user_data;
  self->runs++;
  if (self->runs == self->crash_at) crash();
  while (self->runs == self->hang_at) pause();
  if (self->runs == self->fail_at || unplugged(self)) {
    context->report_error(context, "stand-in: the device is gone");
    return ERROR;
  }
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor *tensor = &context->tensors[node->outputs->data[i]];
    memset(tensor->data, self->value, tensor->bytes);
  }
  return OK;
}

static Status prepare(Context *context, Delegate *delegate) {
  StandIn *self = (StandIn *)delegate;
  IntArray *plan;
  if (context->get_execution_plan(context, &plan) != OK) return ERROR;
  /* looking at a node may reuse the plan's memory: keep a copy */
  size_t bytes = sizeof(int) * (size_t)(plan->size + 1);
  IntArray *order = malloc(bytes), *taken = malloc(bytes);
  memcpy(order, plan, bytes);
  taken->size = 0;
  for (int i = 0; i < order->size; i++) {
    Node *node;
    Registration *registration;
    if (context->get_node_and_registration(context, order->data[i], &node, &registration) != OK) return ERROR;
    const char *name = registration->custom_name;
    if (!strcmp(self->claim, "all") || (name && !strcmp(name, self->claim)))
      taken->data[taken->size++] = order->data[i];
  }
  Registration ours = {node_init, node_free, node_prepare, node_invoke, NULL, BUILTIN_DELEGATE, "StandIn", 1, NULL, NULL, 0};
  Status status = taken->size ? context->replace_nodes(context, ours, taken, delegate) : OK;
  free(order);
  free(taken);
  return status;
}

static int moment(const char *text) { return strcmp(text, "create") ? atoi(text) : AT_CREATION; }

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  StandIn *self = calloc(1, sizeof *self);
  /* without this flag an operator that only the delegate knows is refused before the delegate sees it */
  self->base.flags = ALLOW_DYNAMIC_TENSORS;
  self->base.prepare = prepare;
  self->value = 7;
  self->fail_at = self->crash_at = self->hang_at = NEVER;
  strcpy(self->claim, "edgetpu-custom-op");
  const char *problem = NULL;
  for (size_t i = 0; i < count; i++) {
    if (!strcmp(keys[i], "claim")) strncpy(self->claim, values[i], sizeof self->claim - 1);
    else if (!strcmp(keys[i], "device") && strlen(values[i]) == 5) self->value = values[i][4] - '0';
    else if (!strcmp(keys[i], "fail")) self->fail_at = moment(values[i]);
    else if (!strcmp(keys[i], "hang")) self->hang_at = moment(values[i]);
    else if (!strcmp(keys[i], "gone")) strncpy(self->gone, values[i], sizeof self->gone - 1);
    else if (!strcmp(keys[i], "crash")) self->crash_at = moment(values[i]);
    else problem = "stand-in: unknown option";
  }
  if (self->crash_at == AT_CREATION) crash();
  if (self->fail_at == AT_CREATION || self->value >= 8 || unplugged(self)) problem = "stand-in: no such device";
  if (problem) {
    report(problem);
    free(self);
    return NULL;
  }
  return &self->base;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
