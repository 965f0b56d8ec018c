// The live picture by WebRTC. No server is asked where we are: it is this network or not at all.
import { $, getJson } from "./dom.js";

const PATIENCE = 10000; // ms until the first picture

// failed: it is not tried again before the viewer asks for it, or there is a new connection.
export const rtc = { available: false, failed: false };

export async function lookForRtc() {
  rtc.failed = false;
  if (typeof RTCPeerConnection === "undefined") return;
  try {
    rtc.available = (await getJson("api/webrtc")).available; // until then it is what it was: no film breaks off
  } catch {
    rtc.available = false; // an older server
  }
}

// Shows the picture until the signal comes; rejects when it cannot be had, or is lost.
export async function showRtc(signal, alive) {
  const video = $("video");
  const peer = new RTCPeerConnection();
  let place = "";
  let film = null;
  try {
    const { receiver } = peer.addTransceiver("video", { direction: "recvonly" });
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0; // the newest picture, not the smoothest film
    video.srcObject = film = new MediaStream([receiver.track]);
    await peer.setLocalDescription();
    const answer = await fetch("api/webrtc", {
      method: "POST", headers: { "content-type": "application/sdp" }, body: peer.localDescription.sdp,
    }); // not broken off by the signal: the server would keep a place for nobody
    if (answer.status !== 201) throw new Error((await answer.json().catch(() => ({}))).error || `status ${answer.status}`);
    place = answer.headers.get("location");
    if (signal.aborted) return;
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    video.play().catch(() => {});
    await lost(peer, video, signal, alive);
  } finally {
    peer.close();
    if (video.srcObject === film) video.srcObject = null; // the next one may have begun
    if (place) fetch(`api/webrtc/${place.split("/").pop()}`, { method: "DELETE", keepalive: true }).catch(() => {});
  }
}

function lost(peer, video, signal, alive) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no picture came: UDP may be blocked")), PATIENCE);
    const told = new AbortController();
    const done = (act) => (...args) => {
      clearTimeout(timer);
      told.abort();
      act(...args);
    };
    const fail = done(() => reject(new Error("the connection was lost")));
    peer.addEventListener("connectionstatechange", () => {
      if (["failed", "closed", "disconnected"].includes(peer.connectionState)) fail();
    });
    video.addEventListener("timeupdate", () => {
      if (!video.currentTime) return;
      clearTimeout(timer);
      alive();
    }, { signal: told.signal });
    signal.addEventListener("abort", done(resolve), { signal: told.signal });
    if (signal.aborted) done(resolve)();
  });
}
