// What the page of several files says if it is opened from the disk: browsers load its model from a server only.

if (location.protocol === "file:") {
  document.getElementById("status").textContent = "";
  const error = document.getElementById("error");
  error.hidden = false;
  error.textContent =
    "This page needs a web server, because its model is a file of its own. " +
    "A page that textgen-web wrote without --folder needs none.";
}
