// Photos with the camera of a phone or laptop: several a second while a button is held, as files of the page's form.

import { counted, make } from "./elements.js";

const EVERY = 200; // milliseconds between two photos
const SIDE = 640; // pixels of the longer side
const MOST = 200; // photos that are sent at a time
const QUALITY = 0.9; // of the JPEG

const form = document.getElementById("camera");
const part = (name) => form.querySelector(`[data-camera-${name}]`);
const video = form?.querySelector("video");
const photos = []; // { file, item }, in the order in which they were taken

let series = 0; // counts how often the button was held: photos of a series stay together
let timer = null;
let awaited = null; // the request for the camera's next picture
let facing = "environment";

const REASONS = {
  NotAllowedError: "The browser may not use the camera. Allow it beside the address, then start it again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "Another program uses the camera. Close it, then start the camera again.",
};

function complain(words) {
  part("problem").textContent = words;
}

async function start() {
  complain("");
  if (!navigator.mediaDevices) {
    complain("Browsers hand over the camera on addresses that begin with https:// alone, and on the machine itself.");
    return;
  }
  stop();
  try {
    const wanted = { facingMode: { ideal: facing }, width: { ideal: 1280 }, height: { ideal: 720 } };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    await video.play();
  } catch (error) {
    complain(REASONS[error.name] ?? `The camera does not start (${error.name}).`);
    show(false);
    return;
  }
  for (const track of video.srcObject.getTracks()) track.addEventListener("ended", lose);
  show(true);
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  part("turn").hidden = cameras.length < 2;
  part("hold").focus();
}

/** Show the buttons of a camera that is on, or the one that starts it. */
function show(isOn) {
  part("off").hidden = isOn;
  part("on").hidden = !isOn;
}

/** Say that the camera is gone: it was pulled out, or the browser may not use it any more. */
function lose() {
  letGo();
  stop();
  show(false);
  complain("The camera has stopped. Your photos are still here; start it again for more.");
}

function stop() {
  if (awaited !== null) video.cancelVideoFrameCallback(awaited);
  awaited = null;
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** Take the camera's next picture: a camera that is slower than the button gives each of its pictures once. */
function takeNext(number) {
  if (awaited !== null) return;
  awaited = video.requestVideoFrameCallback(() => {
    awaited = null;
    take(number);
  });
}

/** Take what the camera sees now. */
async function take(number) {
  if (!video.videoWidth || photos.length >= MOST) return;
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  const canvas = make("canvas", {
    width: Math.round(video.videoWidth * scale),
    height: Math.round(video.videoHeight * scale),
  });
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  const file = new File([blob], `${number}-${Date.now()}.jpg`, { type: "image/jpeg" });
  const photo = { file };
  const button = make("button", { class: "camera-photo", type: "button", on: { click: () => remove(photo) } }, canvas);
  photo.item = make("li", {}, button);
  photos.push(photo);
  part("photos").prepend(photo.item);
  refresh();
}

function remove(photo) {
  const next = photo.item.nextElementSibling ?? photo.item.previousElementSibling;
  photos.splice(photos.indexOf(photo), 1);
  photo.item.remove();
  refresh();
  (next?.querySelector("button") ?? part("hold")).focus();
}

function refresh() {
  const many = photos.length >= MOST ? `, as many as can be sent at a time` : "";
  part("count").textContent = photos.length ? `${counted(photos.length, "photo")}${many}.` : "No photos yet.";
  part("add").disabled = photos.length === 0;
  part("add").textContent = photos.length ? `Add ${counted(photos.length, "photo")}` : "Add";
  photos.forEach(({ item }, index) => {
    item.firstElementChild.setAttribute("aria-label", `Remove photo ${index + 1}`);
  });
}

function hold() {
  if (timer !== null) return;
  series += 1;
  const now = `${Date.now().toString(36)}${series}`;
  part("hold").classList.add("is-held");
  takeNext(now);
  timer = setInterval(() => takeNext(now), EVERY);
}

function letGo() {
  clearInterval(timer);
  timer = null;
  part("hold").classList.remove("is-held");
}

if (form && part("hold")) {
  part("start").addEventListener("click", start);
  part("turn").addEventListener("click", () => {
    facing = facing === "environment" ? "user" : "environment";
    start();
  });
  const button = part("hold");
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    hold();
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long touch
  for (const end of ["pointerup", "pointercancel", "blur"]) button.addEventListener(end, letGo);
  button.addEventListener("keydown", (event) => {
    if (![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    hold();
  });
  button.addEventListener("keyup", letGo);
  form.addEventListener("submit", () => {
    const files = new DataTransfer();
    for (const { file } of photos) files.items.add(file);
    form.elements.file.files = files.files;
  });
  window.addEventListener("pagehide", stop);
}
