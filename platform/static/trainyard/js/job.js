// Reads the news of a running job out to people who cannot see the bar, and only when there are some.

document.addEventListener("htmx:afterSwap", () => {
  const words = document.querySelector("[data-announce]")?.dataset.announce;
  const place = document.getElementById("job-announcement");
  if (words && place && place.textContent !== words) place.textContent = words;
});
