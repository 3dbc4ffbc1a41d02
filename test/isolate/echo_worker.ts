/** Without any permission: sends what comes over a socket, or a pair of pipes, back over it, and its end to the test. */

import { SocketTransport } from "../../src/isolate/socket_transport.ts";

const scope = self as unknown as { onmessage: (event: MessageEvent) => void; postMessage(message: unknown): void };

let transport: SocketTransport;

scope.onmessage = ({ data }) => {
  if (data === "close") return transport.close();
  const { descriptor, writeDescriptor, first } = data;
  transport = new SocketTransport(descriptor, writeDescriptor === undefined ? {} : { writeDescriptor });
  if (first !== undefined) transport.post(first, []);
  transport.receive({
    onpost: (post) => first === undefined ? transport.post(post as unknown[], []) : scope.postMessage({ post }),
    onfault: (fault) => scope.postMessage({ fault }),
    onclose: () => scope.postMessage({ closed: true }),
  });
};
