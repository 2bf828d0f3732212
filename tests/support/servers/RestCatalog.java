// Iceberg's REST catalog as Iceberg's own tests serve it, on loopback: see rest_catalog.py.

import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.Writer;
import java.net.InetSocketAddress;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.sparkproject.jetty.server.Server;
import org.sparkproject.jetty.server.ServerConnector;
import org.sparkproject.jetty.servlet.FilterHolder;
import org.sparkproject.jetty.servlet.ServletContextHandler;
import org.sparkproject.jetty.servlet.ServletHolder;

/**
 * Arguments are properties of the catalog behind it, as KEY=VALUE. Those of a store (s3.*, client.*)
 * are also what a client gets to know: it needs none of its own. It prints its port, and serves until
 * its standard input ends. A line of input is how the answer to a commit goes wrong, and to which one
 * from now on: `refuse 1`: it is not made; `lose 3`: it is made, but the client gets an error.
 */
public class RestCatalog {
  private static final AtomicInteger COMMITS_LEFT = new AtomicInteger(-1);
  private static volatile String fault = "";

  public static void main(String[] arguments) throws Exception {
    Map<String, String> properties = new HashMap<>();
    Map<String, String> told = new HashMap<>();
    for (String argument : arguments) {
      String[] parts = argument.split("=", 2);
      properties.put(parts[0], parts[1]);
      if (parts[0].startsWith("s3.") || parts[0].startsWith("client.")) {
        told.put(parts[0], parts[1]);
      }
    }
    var catalog = CatalogUtil.buildIcebergCatalog("backend", properties, new Configuration());
    var context = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    var servlet = new RESTCatalogServlet(new RESTCatalogAdapter(catalog));
    context.addServlet(new ServletHolder(new Config(told)), "/v1/config");
    context.addServlet(new ServletHolder(servlet), "/*");
    var faults = new FilterHolder((Filter) RestCatalog::passOrFail);
    context.addFilter(faults, "/*", EnumSet.of(DispatcherType.REQUEST));
    var server = new Server(new InetSocketAddress("127.0.0.1", 0));
    server.setHandler(context);
    server.start();
    System.out.println(((ServerConnector) server.getConnectors()[0]).getLocalPort());
    var input = new BufferedReader(new InputStreamReader(System.in));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.split(" ");
      fault = words[0];
      COMMITS_LEFT.set(Integer.parseInt(words[1]));
      System.out.println("heard");
    }
    System.exit(0);
  }

  private static void passOrFail(ServletRequest request, ServletResponse response, FilterChain next)
      throws IOException, ServletException {
    var asked = (HttpServletRequest) request;
    boolean isCommit =
        asked.getMethod().equals("POST") && asked.getRequestURI().contains("/tables/")
            && !asked.getRequestURI().endsWith("/metrics");
    if (!isCommit || COMMITS_LEFT.decrementAndGet() != 0) {
      next.doFilter(request, response);
      return;
    }
    if (fault.equals("lose")) {
      next.doFilter(request, new Unsent((HttpServletResponse) response));
    }
    ((HttpServletResponse) response).setStatus(500);
  }

  /** What is written here reaches nobody. */
  private static class Unsent extends HttpServletResponseWrapper {
    Unsent(HttpServletResponse response) {
      super(response);
    }

    @Override
    public PrintWriter getWriter() {
      return new PrintWriter(Writer.nullWriter());
    }

    @Override
    public void setStatus(int status) {}

    @Override
    public void setHeader(String name, String value) {}
  }

  /** What a client gets to know first: settings that hold where it has none. */
  private static class Config extends HttpServlet {
    private final Map<String, String> defaults;

    Config(Map<String, String> defaults) {
      this.defaults = defaults;
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
      response.setContentType("application/json");
      response.getWriter().write(spelled());
    }

    private String spelled() {
      StringBuilder pairs = new StringBuilder();
      defaults.forEach(
          (key, value) -> pairs.append(pairs.isEmpty() ? "" : ",").append(quoted(key)).append(":").append(quoted(value)));
      return "{\"defaults\":{" + pairs + "},\"overrides\":{}}";
    }

    private static String quoted(String text) {
      return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
  }
}
