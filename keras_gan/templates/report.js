"use strict";
(() => {
  for (const button of document.querySelectorAll(".copy")) {
    const code = document.getElementById(button.dataset.copies);
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {  // not allowed here: select it, so that a key copies it
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  const kept = document.getElementById("moments");
  if (!kept) return;
  const {moments, frames, paths} = JSON.parse(kept.textContent);
  const slider = document.getElementById("slider");
  const play = document.getElementById("play");
  const said = document.getElementById("said");
  const frame = document.getElementById("frame");
  const frameStep = document.getElementById("frame-step");
  const histograms = document.querySelectorAll("#logits .histogram");
  const charts = [...document.querySelectorAll("svg.over-steps")];
  let timer = 0;

  // The frame of every chart, in the units of its viewBox.
  const left = 52, right = 408;

  function show() {
    const [step, shown, drawn, words] = moments[slider.value];
    const number = step.toLocaleString("en-US");
    said.innerHTML = "<b></b><span></span>";
    said.firstChild.textContent = `Step ${number}`;
    said.lastChild.textContent = words;
    slider.setAttribute("aria-valuetext", `Step ${number}. ${words}`);
    if (frame && shown >= 0) {
      frame.src = frames[shown][1];
      frame.alt = `Grid of samples at step ${frames[shown][0]}`;
      frameStep.textContent = frames[shown][0].toLocaleString("en-US");
    }
    if (drawn >= 0) histograms.forEach((path, i) => path.setAttribute("d", paths[drawn][i]));
    for (const chart of charts) {
      const x = left + (right - left) * Math.min(1, step / chart.dataset.last);
      const cursor = chart.querySelector(".cursor");
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  }

  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    show();
    play.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) stop();
    }, Math.max(60, Math.min(250, 12000 / moments.length)));
  });
  slider.addEventListener("input", () => { stop(); show(); });
  document.documentElement.classList.add("scripted");
  document.querySelector(".player").hidden = false;
  show();
})();
