(function () {
  "use strict";

  // what is pressed before the page's own scripts are there would do nothing: until then nothing can be pressed
  document.addEventListener("DOMContentLoaded", function () {
    document.getElementById("page").disabled = false;
  });

  // links to cards open in the portal's slider; without BX24 they stay links
  document.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("a[data-path]");
    if (link && window.BX24 && window.BX24.openPath && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      window.BX24.openPath(link.getAttribute("data-path"));
    }
  });

  if (window.BX24) {
    window.BX24.init(function () {
      // a short page keeps the height that the portal gave it
      if (document.documentElement.scrollHeight > window.innerHeight) {
        window.BX24.fitWindow();
      }
    });
  }
})();
