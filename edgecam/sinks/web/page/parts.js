// Reads a stream of parts (multipart), each with Content-Length. An <img> would say nothing when its stream
// ends, and would not tell which number a picture has.

const ascii = new TextDecoder("latin1");
const HEAD = 512; // bytes that a part's head has at most

// Calls `take` with all parts that came in one piece of data: [{ type, number, body }].
export async function readParts(reader, take) {
  let data = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const joined = new Uint8Array(data.length + value.length);
    joined.set(data);
    joined.set(value, data.length);
    data = joined;
    const parts = [];
    for (;;) {
      const head = ascii.decode(data.subarray(0, HEAD));
      const start = head.indexOf("\r\n\r\n") + 4;
      const fields = start < 4 ? "" : head.slice(0, start);
      const length = /content-length: *(\d+)/i.exec(fields);
      if (!length || data.length < start + +length[1]) break;
      const number = /x-number: *(\d+)/i.exec(fields);
      parts.push({
        type: /content-type: *([^\r;]+)/i.exec(fields)?.[1] || "",
        number: number ? +number[1] : 0,
        body: data.slice(start, start + +length[1]),
      });
      data = data.subarray(start + +length[1]);
    }
    take(parts);
  }
}
